"""Point-in-time recovery for PostgreSQL: a terminal wizard over a headless engine."""

__version__ = "0.1.0"
