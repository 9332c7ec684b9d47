"""Pictures by a user's own module, in a child process."""
