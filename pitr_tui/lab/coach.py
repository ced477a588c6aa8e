"""What each step of the wizard is for while one practises, in a line of 76 letters at most."""

from __future__ import annotations

from pitr_tui.lab.scenario import Answer, Scenario

_WORDS = {
    "connect": "The server that lost data is chosen already. Look at it; enter goes on.",
    "archive": "See that the WAL archive is there: without it you only get a backup back.",
    "backups": "Choose where replay begins: a whole backup from before the accident.",
    "target": "Find the accident in the list, and stop just before it: keep the good work.",
    "plan": "Read what speaks against it. Green: enter starts, and asks first.",
    "recover": "Watch it: copy, replay, pause. Nothing is lost if it fails; read why.",
    "verify": "Compare the tables with the story. Is it right? S scores it.",
}
_DOWN = {
    "connect": "It is down, its disk is there: c saves the WAL that it never archived.",
    "archive": "It gets no more by itself. c adds what the primary's disk still has.",
    "target": "Stop just before the accident. Not in the list? c at step 2 saves more WAL.",
}
_LOST = {
    "archive": "The archive cannot grow any more. Look how far it reaches.",
    "connect": "The primary is gone, its disk too: backup and archive are what is left.",
    "target": "Is there anything to stop before? If not, the end keeps the most.",
}
_BY_STATE = {"stopped": _DOWN, "killed": _DOWN, "lost": _LOST}
_ON_PRIMARY = "The answer belongs on the primary: bring the rows back there; S scores it."


def advice(scenario: Scenario, primary_state: str, step: str) -> str:
    """The scenario's own words for a step, or what holds for every one."""
    own = scenario.coach.get(step)
    if own:
        return own
    if step == "verify" and scenario.answer is Answer.PRIMARY:
        return _ON_PRIMARY
    return _BY_STATE.get(primary_state, {}).get(step) or _WORDS.get(step, "")


def in_short(story: str, sentences: int = 2) -> str:
    """The first sentences of a story.

    >>> in_short("One. Two? Three.")
    'One. Two?'
    """
    words, ends, taken = story.split(), (".", "?", "!"), 0
    for place, word in enumerate(words, 1):
        taken += word.rstrip('"”’)').endswith(ends)
        if taken == sentences:
            return " ".join(words[:place])
    return " ".join(words)
