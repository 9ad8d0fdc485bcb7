"""What can be said of an experiment before anything is trained."""
from utils.errors import UserError
from utils.paper.experiments import EXPERIMENTS


def check_bits(what, asked):
    """UserError where the experiment `what` has no codes of one of the lengths that are `asked` for, ints, or one is
    asked for twice."""
    lengths = EXPERIMENTS[what].lengths
    if len(set(asked)) < len(asked):
        raise UserError(f"--bits is {' '.join(map(str, asked))}; name each length once")
    for bits in asked:
        if bits not in lengths:
            raise UserError(f"--bits is {bits}, but {what} has codes of {', '.join(map(str, lengths))} bits; ask for "
                            "some of these")
