"""What a person is told when something cannot be done.

Every failure that the engine can foresee is a `PitrError` with three parts, so that
no face has to invent an explanation: what failed in the user's terms, why (with
PostgreSQL's own words where there are any), and what to try next.
"""


class PitrError(Exception):
    """Something failed while doing it. Exit code 1."""

    exit_code = 1

    def __init__(self, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        parts = [self.what]
        if self.why:
            parts.append(f"why: {self.why}")
        if self.hint:
            parts.append(f"try: {self.hint}")
        return "\n  ".join(parts)


class UsageError(PitrError):
    """The words of the request do not make sense. Exit code 2."""

    exit_code = 2


class RefusedError(PitrError):
    """A check found that going on would do harm or cannot succeed. Exit code 3."""

    exit_code = 3


class CancelledError(PitrError):
    """The person asked to stop. Exit code 130, as shells use for an interrupt."""

    exit_code = 130

    def __init__(self, what: str = "cancelled", left: str = "") -> None:
        super().__init__(what, "you asked to stop", left)
