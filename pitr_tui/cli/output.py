"""What the command line prints: sentences or JSON lines on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping

from pitr_tui.errors import PitrError
from pitr_tui.postgres.quote import visible
from pitr_tui.wording import count_text, duration_text, size_text

_WIDTH = 78
_REFRESH_SECONDS = 0.1


class Output:
    """One command's voice. With `as_json` every fact is a JSON line and nothing else is said."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self._live = not as_json and sys.stderr.isatty()
        self._shown = 0.0
        self._open_line = False

    def say(self, text: str = "") -> None:
        """A line for people."""
        if not self.as_json:
            self.end_progress()
            print(visible(text), flush=True)

    def fact(self, data: Mapping[str, object]) -> None:
        """A JSON line for programs."""
        if self.as_json:
            print(json.dumps(data, default=str), flush=True)

    def json_line(self, text: str) -> None:
        """A fact that is JSON already; of many such lines not each is sent on its own."""
        if self.as_json:
            sys.stdout.write(text + "\n")

    def progress(self, name: str, done: int, total: int, unit: str = "row") -> None:
        """A line that is written over, on a terminal only."""
        if not self._live or time.monotonic() - self._shown < _REFRESH_SECONDS:
            return
        self._shown = time.monotonic()
        if unit == "byte":
            amount = f"{size_text(done)} of {size_text(total)}" if total else size_text(done)
        else:
            amount = f"{done:,} of {count_text(total, unit)}"
        self._write(f"  … {name}: {amount}")

    def begin(self, name: str) -> None:
        if self._live:
            self._write(f"  … {name}")

    def finished(self, name: str, seconds: float) -> None:
        """The end of a part of the work."""
        self.end_progress()
        if not self.as_json:
            print(visible(f"  ✓ {name:<28} {duration_text(seconds):>10}"), flush=True)

    def error(self, error: PitrError) -> None:
        """A failure: on stderr for people, as the last JSON line for programs."""
        self.end_progress()
        self.fact(
            {
                "event": "Error",
                "what": error.what,
                "why": error.why,
                "hint": error.hint,
                "exit_code": error.exit_code,
            }
        )
        if not self.as_json:
            print(visible(f"pitr: {error}"), file=sys.stderr, flush=True)

    def end_progress(self) -> None:
        if self._open_line:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()
            self._open_line = False

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{visible(text)[:_WIDTH]:<{_WIDTH}}")
        sys.stderr.flush()
        self._open_line = True
