"""Where bytes live: read-only listing and reading. Nothing in here writes or deletes."""
