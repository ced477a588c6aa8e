"""Incidents on purpose, whose truth is known."""
