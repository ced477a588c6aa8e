"""What each step of the wizard does and why, for a person who knows SQL and not WAL.

A lesson is a value: the texts, and behind them the very settings, files, commands and functions
of the plan or the proposal at hand, as the major version at hand has them.
"""

from __future__ import annotations

from pitr_tui.recovery.teaching.lesson import STEPS, lesson, lessons
from pitr_tui.recovery.teaching.seen import Seen
from pitr_tui.recovery.teaching.values import Behind, Kind, Lesson, ManualSection

__all__ = [
    "STEPS",
    "Behind",
    "Kind",
    "Lesson",
    "ManualSection",
    "Seen",
    "lesson",
    "lessons",
]
