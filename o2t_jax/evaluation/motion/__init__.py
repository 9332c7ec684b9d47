"""Is a motion physical? The linter of motion clips."""
