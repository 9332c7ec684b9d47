"""The one exception for input that a user can correct."""


class UsageError(ValueError):
    """Bad input: a config value, a path, a file, a device.

    The message is one line that names the value, the limit and the cure. Entry points (`experiments.*`)
    print only this line on standard error, without a traceback, and end with exit code 2.
    """
