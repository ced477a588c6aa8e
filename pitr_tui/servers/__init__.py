"""The PostgreSQL servers that we look at, start and stop."""
