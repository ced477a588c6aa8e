"""What the WAL says. Nothing in here reads a file: it is given bytes."""
