"""How long the wizard lets a person look at nothing, against the smallest Textual application."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

HELLO = """
from textual.app import App
from textual.widgets import Label
class Hello(App):
    def compose(self):
        yield Label("connect")
Hello().run()
"""
PITR = "import sys; from pitr_tui.cli import main; sys.exit(main([]))"
SIGN = b"connect"  # the name of the first step, and what the small one says
BUDGET = 0.100  # seconds of wall time beyond the small one
ROUNDS = 9


def seconds_to_first_paint(program: str) -> float:
    """From the start of the process to the sign on a terminal of 120x40."""
    ours, theirs = pty.openpty()
    os.environ.update(COLUMNS="120", LINES="40", TERM="xterm-256color")
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    try:
        while SIGN not in seen:
            ready, _, _ = select.select([ours], [], [], 20)
            assert ready, seen
            seen += os.read(ours, 1 << 16)
        return time.monotonic() - started
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)


@pytest.mark.benchmark
def test_the_wizard_is_there_soon() -> None:
    """Rounds alternate and the least of each counts, so that a busy machine decides nothing."""
    rounds = [(seconds_to_first_paint(HELLO), seconds_to_first_paint(PITR)) for _ in range(ROUNDS)]
    small, wizard = (min(times) for times in zip(*rounds, strict=True))
    print(f"\nhello world {small * 1000:.0f} ms, wizard {wizard * 1000:.0f} ms")
    assert wizard - small < BUDGET
