"""The timeline: what there is and what happened, from left to right, and the cut through it."""

from pitr_tui.tui.widgets.timeline.picture import Picture
from pitr_tui.tui.widgets.timeline.view import TimelineView
from pitr_tui.tui.widgets.timeline.words import describe

__all__ = ["Picture", "TimelineView", "describe"]
