"""Catalogues of backups and of WAL: what exists, and how to get it."""
