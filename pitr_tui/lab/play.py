"""Begins a lab: makes the world, plays the scenario in it, and writes down what is true."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pitr_tui.errors import CancelledError, PitrError, RefusedError
from pitr_tui.lab import place, record, template, worker
from pitr_tui.lab.capture import difference, rows_of
from pitr_tui.lab.deeds import Player
from pitr_tui.lab.ground import Ground, lab_directory
from pitr_tui.lab.place import Place
from pitr_tui.lab.record import Lab
from pitr_tui.lab.recorder import Recorder
from pitr_tui.lab.scenario import SHOP, Accident, EndPrimary, Scenario, Work
from pitr_tui.lab.shop import Shop
from pitr_tui.lab.truth import Truth, TruthWriter
from pitr_tui.lab.tutorial import Phase
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.events import utc_now
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.osuser import OsUser

_PACE = 1 / 40  # seconds for each transaction of the history: a timeline needs some width
_SEGMENT_MEGABYTES = 1
_TABLESPACE = "fast"
_SETTINGS = {"archive_timeout": "10s"}
_STEP = 5  # of the progress, for a step that is no work

Tell = Callable[[Phase], None]


@dataclass(frozen=True, slots=True)
class StartOrder:
    """What to begin. `rate` None is the scenario's own; with 0 the history takes no time either.

    `directory` is new or empty. With an `image` the primary runs in a container of it.
    """

    scenario: Scenario
    seed: int
    installation: Installation
    user: OsUser
    directory: Path
    rate: float | None = None
    image: str | None = None

    @property
    def worker_rate(self) -> float:
        return self.scenario.world.rate if self.rate is None else self.rate


def start(order: StartOrder, tell: Tell, cancel: threading.Event) -> Lab:
    """Play a scenario up to where the trainee takes over.

    Raises RefusedError when a lab runs or the version cannot play it, PitrError, CancelledError;
    then nothing of it is left.
    """
    _require_playable(order.scenario, order.installation.version)
    started = utc_now()
    name = record.lab_name(order.scenario.name, order.seed, started)
    with record.reserved(name) as record_directory:
        place.remove_unfinished(name)
        directory = lab_directory(order.directory, order.user)
        ground = _ground(order, directory)
        stage = _Stage(order, ground, tell, cancel)
        try:
            place.note(name, Place(directory, order.image))
            with TruthWriter(record_directory / "truth.jsonl") as writer:
                primary = stage.play(writer)
            truth = Truth.read(record_directory / "truth.jsonl")
            _require_answer(order.scenario, truth)
            known = _known(ground, truth)
            lab = Lab(
                name=name,
                scenario=order.scenario,
                seed=order.seed,
                version=order.installation.version,
                bindir=order.installation.bindir,
                os_user=order.user.name,
                directory=directory,
                system_identifier=stage.system_identifier,
                started=started,
                ready=utc_now(),
                rate=order.worker_rate if primary == "runs" else 0.0,
                image=order.image,
                done_items=truth.next_item,
                primary_state=primary,
                story=template.fill(order.scenario.story, known),
                hints=tuple(template.fill(one, known) for one in order.scenario.hints),
                expert=template.fill(order.scenario.expert, known),
            )
            record.create(lab)
            worker.start(lab)
        except BaseException as error:
            try:
                ground.close()
            finally:
                shutil.rmtree(directory, ignore_errors=True)
            if isinstance(error, CancelledError):  # some step's own words would mislead
                words = "the start of the lab was cancelled"
                raise CancelledError(words, "nothing of it is left") from error
            raise
    return lab


class _Stage:
    """One play: the world is made, then one step comes after the other."""

    def __init__(
        self, order: StartOrder, ground: Ground, tell: Tell, cancel: threading.Event
    ) -> None:
        self.order, self.ground, self.tell, self.cancel = order, ground, tell, cancel
        self.system_identifier = 0
        self._total = sum(_weight(deed) for deed in order.scenario.steps)
        self._done = 0

    def play(self, writer: TruthWriter) -> str:
        """Give what became of the primary. Raises PitrError, CancelledError."""
        order, ground = self.order, self.ground
        with self._phase("make the primary"):
            if order.scenario.world.tablespace:
                order.user.make_directory(self._tablespace_directory)
            ground.create({**_SETTINGS, **order.scenario.world.settings}, _SEGMENT_MEGABYTES)
            self.system_identifier = ground.primary.facts().system_identifier
        with self._phase("turn archiving on"):
            ground.enable_archiving(self.cancel)
        database = ground.server.database
        database.rows(f"CREATE DATABASE {SHOP}")
        with (
            self._phase("let the shop work"),
            Recorder(database.named(SHOP), writer) as recorder,
        ):
            customers = order.scenario.world.customers
            recorder.open_shop(order.seed, customers, self._tablespace())
            player = Player(
                ground=ground,
                recorder=recorder,
                items=enumerate(Shop(order.seed, customers)),
                pace=0.0 if order.rate == 0 else _PACE,
                cancel=self.cancel,
                told=self._advance,
            )
            for number, deed in enumerate(order.scenario.steps, 1):
                if isinstance(deed, EndPrimary):
                    self._require_true(writer.path)
                with self._step(number):
                    player.perform(deed)
                if not isinstance(deed, Work):
                    self._advance(_STEP)
            if player.primary == "runs":
                self._require_true(writer.path)
                if player.archiving:
                    ground.prove_archiving(self.cancel)
        return player.primary

    @property
    def _tablespace_directory(self) -> Path:
        return self.ground.directory / "tablespace"

    def _tablespace(self) -> str | None:
        if not self.order.scenario.world.tablespace:
            return None
        location = self._tablespace_directory
        self.ground.server.database.rows(
            f"CREATE TABLESPACE {_TABLESPACE} LOCATION %s", [str(location)]
        )
        return _TABLESPACE

    def _require_true(self, path: Path) -> None:
        """Raises PitrError where the shop is not what the truth tells: no answer would be right."""
        truth, shop = Truth.read(path), self.ground.server.database.named(SHOP)
        told = truth.rows_after(truth.main[-1].number)
        changes, missing, unknown = difference(told, rows_of(shop))
        if different := sorted({*changes, *missing, *unknown}):
            raise PitrError(
                f"the truth of the scenario {self.order.scenario.name} does not hold",
                f"the lab does not know of every change in {', '.join(different)}",
                "it sees only those rows change that the shop's statements name: no SQL of a step "
                "may leave a trigger, a rule, a cascade or a SET behind",
            )

    @contextmanager
    def _step(self, number: int) -> Iterator[None]:
        """Say of a failure which step of the scenario it was."""
        try:
            yield
        except CancelledError:
            raise
        except PitrError as error:
            scenario = self.order.scenario
            raise PitrError(
                f"step {number} of {len(scenario.steps)} of the scenario {scenario.name} failed",
                "\n".join(part for part in (error.what, error.why) if part),
                error.hint,
            ) from error

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Tell the begin and the end of a part; its name says nothing about the accident."""
        if self.cancel.is_set():
            raise CancelledError("the lab was cancelled")
        self.tell(Phase(name))
        started = time.monotonic()
        yield
        self.tell(Phase(name, seconds=round(time.monotonic() - started, 3)))

    def _advance(self, steps: int) -> None:
        self._done = min(self._done + steps, self._total)
        self.tell(Phase("let the shop work", self._done, self._total))


def _ground(order: StartOrder, directory: Path) -> Ground:
    """Where the world is made: on this machine, or in a container of an image."""
    if order.image is None:
        return Ground(directory, order.installation, order.user)
    from pitr_tui.lab.container_ground import ground_in

    return ground_in(
        order.image, directory=directory, installation=order.installation, user=order.user
    )


def _weight(deed: object) -> int:
    return deed.transactions if isinstance(deed, Work) else _STEP


def _require_playable(scenario: Scenario, version: PostgresVersion) -> None:
    version.require_supported()
    if scenario.since is not None and version < scenario.since:
        raise RefusedError(
            f"{scenario.name} cannot be played with PostgreSQL {version.major}",
            f"it needs {scenario.since.major} or newer",
            "choose another scenario, or another --version",
        )


def _require_answer(scenario: Scenario, truth: Truth) -> None:
    """Raises PitrError for a scenario that went otherwise than its file means it to go."""
    best = truth.best()
    accidents = [one.name for one in scenario.steps if isinstance(one, Accident)]
    happened = {one.deed for one in truth.main if not one.good and (one.changes or one.dropped)}
    for name in accidents:
        if name not in happened:
            raise PitrError(
                f"the accident {name} of the scenario {scenario.name} changed nothing",
                "no row is different after it",
                "look at the SQL of its transactions",
            )
    if best.last is None:
        raise PitrError(f"the scenario {scenario.name} leaves nothing to be recovered")


def _known(ground: Ground, truth: Truth) -> template.Known:
    """What the names in the scenario's texts stand for, now that it was played."""
    named = [one for one in truth.main if one.deed]
    return template.Known(
        places={
            "archive": str(ground.archive_directory),
            "backups": str(ground.backup_directory),
            "primary": str(ground.server.data_directory),
            "directory": str(ground.directory),
            "socket": str(ground.server.socket_directory),
        },
        times={one.deed: one.at for one in reversed(named)}
        | {noted.name: noted.at for noted in truth.noted.values()},
        xids={one.deed: one.xid for one in reversed(named) if one.xid is not None},
    )
