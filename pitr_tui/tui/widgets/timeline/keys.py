"""The keys of the timeline."""

from __future__ import annotations

from textual.binding import Binding, BindingType

KEYS: list[BindingType] = [
    Binding("left,h", "move(-1)", "Earlier", id="timeline.earlier", show=False),
    Binding("right,l", "move(1)", "Later", id="timeline.later", show=False),
    Binding("ctrl+left", "pan(-1)", "Pan left", id="timeline.pan_left", show=False),
    Binding("ctrl+right", "pan(1)", "Pan right", id="timeline.pan_right", show=False),
    Binding("plus,equals_sign", "zoom(1)", "Zoom in", id="timeline.in", key_display="+"),
    Binding("minus", "zoom(-1)", "Zoom out", id="timeline.out", key_display="-"),
    Binding("0", "whole", "All of it", id="timeline.whole", show=False),
    Binding(
        "n", "jump('suspect', 1)", "Suspect", id="timeline.suspect", tooltip="the next suspect"
    ),
    Binding("N", "jump('suspect', -1)", "Suspect before", id="timeline.suspect_before", show=False),
    Binding(
        "right_square_bracket",
        "jump('point', 1)",
        "Restore point or event",
        id="timeline.point",
        show=False,
    ),
    Binding(
        "left_square_bracket",
        "jump('point', -1)",
        "Restore point or event before",
        id="timeline.point_before",
        show=False,
    ),
    Binding("right_curly_bracket", "jump('gap', 1)", "Gap", id="timeline.gap", show=False),
    Binding(
        "left_curly_bracket",
        "jump('gap', -1)",
        "Gap before",
        id="timeline.gap_before",
        show=False,
    ),
    Binding("b", "jump('backup', 1)", "Backup", id="timeline.backup", show=False),
    Binding("B", "jump('backup', -1)", "Backup before", id="timeline.backup_before", show=False),
]
