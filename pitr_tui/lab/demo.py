"""`pitr demo`: the tutorial's accident and its recovery, end to end, on real servers."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC

from pitr_tui.errors import PitrError
from pitr_tui.lab.tutorial import Count, Phase, Tutorial
from pitr_tui.postgres.target import AtTime, TargetAction
from pitr_tui.recovery.checks import judge, require_passed
from pitr_tui.recovery.events import Progress, ReplayAt, Sink, Stamped, utc_now
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.servers.local import LocalServer
from pitr_tui.servers.local_secondary import LocalSecondary


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo proved. `seconds` holds each phase; counts come from SQL."""

    expected: Count
    recovered: Count
    accident: Count
    target_time: str
    stop_reason: str
    segments_restored: int
    seconds: dict[str, float]
    run: str
    secondary: LocalServer

    @property
    def passed(self) -> bool:
        """Whether the secondary has exactly the good rows."""
        return self.recovered == self.expected

    def summary(self) -> dict[str, object]:
        """The last line of `--json`."""
        return {
            "event": "DemoFinished",
            "passed": self.passed,
            "expected_rows": self.expected.good,
            "recovered_rows": self.recovered.good + self.recovered.wrong,
            "wrong_rows": self.recovered.wrong,
            "wrong_rows_on_primary": self.accident.wrong,
            "target_time": self.target_time,
            "stop_reason": self.stop_reason,
            "segments_restored": self.segments_restored,
            "seconds": self.seconds,
            "run": self.run,
        }


def run_demo(tutorial: Tutorial, sink: Sink, cancel: threading.Event) -> DemoResult:
    """Break the primary, recover a secondary to the noted moment, and count.

    Raises PitrError when the recovery fails. Both servers are left running.
    """
    tutorial.play()
    if tutorial.noted is None or tutorial.backup is None:
        raise PitrError("the demo has no moment to go back to")
    secondary = LocalSecondary(
        tutorial.directory / "secondary", tutorial.installation, tutorial.user
    )
    plan = RecoveryPlan(
        backup=tutorial.backup,
        archive=tutorial.archive,
        secondary=secondary,
        target=AtTime(tutorial.noted.astimezone(UTC)),
        action=TargetAction.PAUSE,
    )
    name = "recover the secondary"

    def listen(stamped: Stamped) -> None:
        sink(stamped)
        event = stamped.event
        if isinstance(event, Progress):
            tutorial.tell(Phase(name, event.done, event.total))
        elif isinstance(event, ReplayAt) and event.end is not None:
            tutorial.tell(Phase(name, event.lsn - event.start, event.end - event.start))

    with tutorial.phase(name):
        require_passed(judge(plan, utc_now()).checks)
        journal = Journal.create(listen)
        try:
            view = recover(plan, journal, cancel)
        finally:
            journal.close()
    with tutorial.phase("count the rows"):
        recovered = tutorial.count(secondary.server)
        accident = tutorial.count(tutorial.server)
    return DemoResult(
        expected=tutorial.expected,
        recovered=recovered,
        accident=accident,
        target_time=plan.target.settings()["recovery_target_time"],
        stop_reason=str(view.stop),
        segments_restored=view.segments_restored,
        seconds=tutorial.seconds,
        run=journal.run,
        secondary=secondary.server,
    )
