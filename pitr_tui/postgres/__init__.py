"""Facts about PostgreSQL 9.6 to 18 as pure functions and values: no I/O in here."""
