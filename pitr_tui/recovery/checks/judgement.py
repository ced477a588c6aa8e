"""The verdict over a plan: every check by its name, one light, and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.target import AtLsn, AtTime, AtXid, Immediate
from pitr_tui.postgres.timestamp import moment
from pitr_tui.recovery.checks import (
    around,
    backup,
    backup_end,
    configuration,
    destination,
    ruin,
    target,
    unsaved,
    wal,
)
from pitr_tui.recovery.checks.case import NO_EVIDENCE, Case, Evidence
from pitr_tui.recovery.checks.delivery import Proof, delivery, prove_delivery
from pitr_tui.recovery.checks.further import later
from pitr_tui.recovery.estimate import Estimate, estimate, measured_rates
from pitr_tui.recovery.events import CheckDone, CutKnown, Status
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.surroundings import cut_known
from pitr_tui.wal.aim import Aim
from pitr_tui.wal.chronicle import Chronicle

Check = Callable[[Case], Iterator[CheckDone]]

# In the order in which a person would ask. Where a check cannot be made, its name is told.
_CHECKS: tuple[tuple[str, Check], ...] = (
    ("destination", destination.destination),
    ("space", destination.space),
    ("programs", destination.programs),
    ("backup complete", backup.whole),
    ("pg_control", backup.control),
    ("taken from", backup.origin),
    ("libraries", configuration.libraries),
    ("configuration", configuration.includes),
    ("leftovers", configuration.traces),
    ("harms nobody", destination.harm),
    ("timeline", wal.timeline),
    ("wal", wal.wal),
    ("not archived", unsaved.unsaved),
    ("settings", configuration.settings),
    ("wal_level", configuration.wal_level),
    ("tablespaces", configuration.tablespaces),
    ("end of backup", backup_end.end_of_backup),
    ("target", target.target),
    ("clock", around.clocks),
    ("prepared", around.prepared),
    ("locked", around.locked),
    ("dropped database", ruin.dropped_databases),
)
# What concerns the place and the backup alone, which a secondary has behind it.
_BEFORE_THE_COPY = (
    *("destination", "space", "programs", "backup complete", "pg_control", "taken from"),
    *("libraries", "configuration", "leftovers", "harms nobody", "end of backup"),
)


class Light(StrEnum):
    """Whether to go: nothing speaks against it, something is not proved, or it cannot succeed."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reasons.

    `sentence` says it in one line; `alternative` is where one can stop instead, if the target
    cannot be reached with the WAL that is here; `estimate` how long it will take, by what was
    measured; `cut` what is kept and lost, where the WAL around the stop was read.
    """

    light: Light
    checks: tuple[CheckDone, ...]
    sentence: str
    alternative: Aim | None = None
    estimate: Estimate | None = None
    cut: CutKnown | None = None


def fitted(plan: RecoveryPlan, evidence: Evidence = NO_EVIDENCE) -> RecoveryPlan:
    """The plan with what its own server needs to come to the target.

    That are settings as high as the WAL on the way asks for, lists of libraries without those
    that these programs do not have, and no reading ahead where a file behind the target is no
    good. Raises PitrError or OSError, as the secondary and the archive do.
    """
    case = Case(plan, datetime.min, evidence)
    needed = configuration.needed_settings(case)
    bare = replace(plan, raised={}, preload={})
    raised = {name: value for name, value in needed.items() if value > bare.minimum(name)}
    preload: dict[str, tuple[str, ...]] = {}
    for setting, names in plan.backup.preload.items():
        missing = plan.secondary.missing_libraries(names) or ()
        if missing:
            preload[setting] = tuple(name for name in names if name not in missing)
    bad_end = case.surveyed is not None and case.chain.ends_badly
    return replace(plan, raised=raised, preload=preload, read_ahead=not bad_end)


def judge(
    plan: RecoveryPlan,
    now: datetime,
    evidence: Evidence = NO_EVIDENCE,
    reached: Lsn | None = None,
) -> Judgement:
    """Check a plan before anything is copied, or where `reached` before replay goes on from there.

    `now` is our clock.

    Without `evidence` from the WAL nothing is proved, and no target is green. The
    plan is judged as it is; `fitted` makes it fit first.
    """
    case = Case(plan, now, evidence)
    checks: list[CheckDone] = []
    proof: list[Proof | None] = []
    for name, check in _CHECKS:
        if reached is None or name not in _BEFORE_THE_COPY:
            checks += _done(name, partial(check, case))
    if reached is None:
        checks += _done("delivery", partial(_deliver, case, proof))
    else:
        checks += _done("later", partial(later, case, reached))
    light = _light(checks)
    alternative = _alternative(case)
    return Judgement(
        light,
        tuple(checks),
        _sentence(case, light, checks, alternative),
        alternative,
        _estimate(case, proof[0] if proof else None) if reached is None else None,
        _cut(case),
    )


def require_passed(checks: tuple[CheckDone, ...]) -> None:
    """Raises RefusedError, telling every failed check."""
    failed = [check for check in checks if check.status is Status.FAILURE]
    if failed:
        raise RefusedError(
            "this recovery was not started: a check failed",
            "; ".join(f"{check.name}: {check.evidence}" for check in failed),
            "; ".join(check.hint for check in failed if check.hint),
        )


def _done(name: str, check: Callable[[], Iterator[CheckDone]]) -> Iterator[CheckDone]:
    """What a check found; that it could not be made is a failure, too."""
    try:
        yield from check()
    except PitrError as error:
        why = f"{error.what}: {error.why}" if error.why else error.what
        yield CheckDone(name, Status.FAILURE, why, error.hint)
    except OSError as error:
        why = f"{error.filename} cannot be read: {error.strerror}"
        yield CheckDone(name, Status.FAILURE, why)


def _deliver(case: Case, proof: list[Proof | None]) -> Iterator[CheckDone]:
    proof.append(prove_delivery(case))
    yield from delivery(case, proof[0])


def _light(checks: list[CheckDone]) -> Light:
    found = {check.status for check in checks}
    if Status.FAILURE in found:
        return Light.RED
    return Light.AMBER if Status.WARNING in found else Light.GREEN


def _sentence(case: Case, light: Light, checks: list[CheckDone], alternative: Aim | None) -> str:
    if light is Light.GREEN:
        return next(check.evidence for check in checks if check.name == "target")
    if light is Light.RED:
        first = next(check for check in checks if check.status is Status.FAILURE)
        return f"{first.name}: {first.evidence}"
    doubts = [check for check in checks if check.status is Status.WARNING]
    if alternative is not None and case.chronicle is not None and alternative.cut is not None:
        last = case.chronicle.last_kept(alternative.cut)
        if last is not None:
            reach = f"reachable up to {target.entry_words(case.chronicle, last)}"
            return f"{reach}{_short_by(case, case.chronicle, last)}"
    doubts.sort(key=lambda check: check.name != "target")  # it is what people ask about
    return f"{doubts[0].name}: {doubts[0].evidence}"


def _short_by(case: Case, chronicle: Chronicle, last: int) -> str:
    """How much more was asked for, of a time."""
    wanted = case.evidence.aim.asked if case.evidence.aim else case.plan.target
    at = moment(int(chronicle.at[last]))
    if not isinstance(wanted, AtTime) or at is None:
        return f"; you asked for {case.plan.target}"
    return f"; you asked for {target.short_words(wanted.time - at)} more"


def _alternative(case: Case) -> Aim | None:
    """The last commit that can be reached, when the target cannot be."""
    chronicle = case.chronicle
    if chronicle is None or not chronicle.finished or isinstance(case.plan.target, Immediate):
        return None
    try:
        end = case.chain.end
    except (PitrError, OSError):
        return None  # its own check tells of it
    broken = [hole.lsn for hole in chronicle.holes if hole.lsn >= case.start]
    end = min([end, chronicle.end, *broken])
    if case.stop is not None and case.stop.lsn <= end:
        return None
    wanted = case.plan.target
    if isinstance(wanted, AtXid) and target.is_older_than_all(chronicle, wanted.xid):
        return None  # whatever this backup leads to lies behind it
    since = case.consistent_from
    last = chronicle.last_kept(chronicle.cut_at_lsn(end))
    if last is None or since is None or chronicle.ends[last] < since:
        return None
    # Just after it, and never just before the next one: that may lie behind the gap.
    xid, lsn = int(chronicle.xids[last]), Lsn(int(chronicle.lsns[last]))
    first = chronicle.entry_of(xid, case.start) == last
    stop = AtXid(xid) if first else AtLsn(lsn)
    return Aim(stop, stop, last + 1, Lsn(int(chronicle.ends[last])), reached=True)


def _cut(case: Case) -> CutKnown | None:
    """What lies around the place where the server will stop, if that is certain."""
    if case.chronicle is None or case.stop is None or case.stop.perhaps is not None:
        return None
    return cut_known(case.chronicle, case.stop.cut, case.start)


def _estimate(case: Case, proof: Proof | None) -> Estimate | None:
    plan = case.plan
    rates = measured_rates(plan.secondary.destination)
    if proof is not None and proof.by_script:
        rates = replace(rates, delivery=proof.rate)
    return estimate(plan.backup.restored_bytes, _replayed_bytes(case), rates)


def _replayed_bytes(case: Case) -> int | None:
    end: Lsn | None = case.end
    if end is None:
        try:
            end = case.chain.end
        except (PitrError, OSError):
            return None
    return max(end - case.start, 0)
