"""Taking over other servers' directories: decided, done, killed in between, and served."""
