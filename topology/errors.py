"""The two ways in which a command can fail that are not a bug of ours."""


class UserError(Exception):
    """The user's input is wrong. One line that names file, field and mend; exit code 2."""


class RunError(Exception):
    """The run itself failed, by no fault of the input. One line that says why; exit code 1.

    If a policy raised, its own traceback follows that line.
    """
