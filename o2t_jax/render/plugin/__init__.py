"""Pictures by a module of the user's own, in a child process."""
