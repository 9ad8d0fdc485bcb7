"""The error whose message is shown to the user without a traceback."""
import re


class UserError(Exception):
    """Something the user can mend. The message is one sentence: what is wrong, where, and what to do; names in it that
    are very long are cut, and lines are joined."""

    def __init__(self, message):
        super().__init__(re.sub(r"\S{400,}", lambda found: f"{found[0][:99]}...", message).replace("\n", "\\n"))
