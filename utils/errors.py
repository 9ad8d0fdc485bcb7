"""A user's mistake ends in one sentence, not in a traceback."""
import sys


class UserError(Exception):
    """Something the user can mend. The message is one sentence: what is wrong, where, and what to do."""


def run(main):
    """Call `main()` as a script; a `UserError` prints its sentence on stderr and exits with 2, Ctrl-C with 130. Asked
    for help, print first what the script's docstring says, where its examples are."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(sys.modules["__main__"].__doc__)
    try:
        sys.exit(main())
    except UserError as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
