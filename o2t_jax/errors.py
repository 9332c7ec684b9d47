"""The one exception for input that a user can mend."""


class UsageError(ValueError):
    """Bad input: a config value, a path, a file, a device.

    The message is one line that names the value, the limit and the cure. Entry points (`experiments.*`)
    print it alone on standard error and end with exit code 2; it never comes with a traceback.
    """
