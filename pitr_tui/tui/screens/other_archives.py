"""Archives without archive_command: WAL received beside the primary, or collected from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual.binding import Binding, BindingType

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.errors import PitrError
from pitr_tui.recovery.collect import Collected
from pitr_tui.recovery.receiver_status import ReceiverStatus
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens import collecting, receiving
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.receiving import Start
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import Session
from pitr_tui.tui.widgets.facts import Fact


class OtherArchives(StepPane):
    """The two keys of the archive step for a primary that does not archive by itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "v,f8",
            "receive",
            "Receive",
            id="receive",
            tooltip="archive by a container beside the primary: no restart, no mount",
        ),
        Binding(
            "c,f9",
            "collect",
            "Collect",
            id="collect",
            tooltip="make an archive from the WAL that the primary itself still has",
        ),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._collected: tuple[Collected, Place] | None = None

    # What the archive step gives.

    def use_place(self, place: Place) -> None:
        """Take this archive, which is filled without archive_command."""
        raise NotImplementedError

    def show_others(self) -> None:
        """Draw what `other_facts` says."""
        raise NotImplementedError

    # How it stands.

    def look_at_receiver(self) -> None:
        """See whether a receiver runs already, and how far behind it is."""
        session = self.session
        if isinstance(session.origin, PostgresContainer) and session.facts is not None:
            self.run_job(
                lambda emit, cancel: receiving.look_at_receiver(session),
                on_done=self._take_receiver,
                on_failed=lambda _: self._take_receiver(None),
                group="receiver",
            )

    def _take_receiver(self, found: ReceiverStatus | None) -> None:
        session = self.session
        session.receiver = found
        status = session.archiving
        alone = status is None or not (status.on and status.has_command)
        if found is not None and found.listing is not None and alone and not session.other_archive:
            self.use_place(EngineLocation(LocationKind.VOLUME, found.volume))
        self.show_others()
        self.refresh_bindings()
        self.changed()

    def other_facts(self) -> list[Fact]:
        """What is to be said of them."""
        rows = []
        if self.session.receiver is not None:
            rows += receiving.receiver_facts(self.session.receiver)
        if self._collected is not None:
            rows += collecting.collected_facts(*self._collected)
        return rows

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only where they can do something."""
        session = self.session
        if action == "receive":
            inside = isinstance(session.origin, PostgresContainer) and session.facts is not None
            return inside and session.receiver is None
        if action == "collect":
            return collecting.can_collect(session)
        return True

    # Receiving.

    def action_receive(self) -> None:
        """Say what a receiver means, and start it on a yes."""
        session = self.session
        if not self.at_work:
            self.run_job(
                lambda emit, cancel: receiving.plan_receiver(session),
                on_done=self._ask_to_receive,
                busy="looking how a receiver would reach the primary",
            )

    def _ask_to_receive(self, order: Start) -> None:
        def decided(sure: bool | None) -> None:
            if not sure:
                return
            if order.asked_twice:
                self._open_network(order)
            else:
                self._start(order, False)

        self._ask("Receive the WAL beside the primary?", order, decided)

    def _open_network(self, order: Start) -> None:
        """A new network: only from there can be seen whether pg_hba.conf has to change."""

        def decided(opened: Start, sure: bool | None) -> None:
            if sure:
                self._start(opened, True)
            else:
                self.run_job(lambda emit, cancel: receiving.give_up(opened), on_done=lambda _: None)

        def done(opened: Start) -> None:
            if opened.line is None:
                self._start(opened, True)
            else:
                self._ask("Let the receiver in?", opened, partial(decided, opened))

        self.run_job(
            lambda emit, cancel: receiving.open_network(order),
            on_done=done,
            busy="making the network",
            cancel_hint="",
        )

    def _ask(self, title: str, order: Start, decided: Callable[[bool | None], None]) -> None:
        diff = order.line.diff if order.line is not None else ""
        dialog = ConfirmDialog(title, order.text(), "Start it", diff)
        self.app.push_screen(dialog, decided)

    def _start(self, order: Start, made_network: bool) -> None:
        def done(_: None) -> None:
            self.use_place(order.place)
            self.look_at_receiver()

        self.run_job(
            lambda emit, cancel: receiving.start(order, made_network, cancel),
            on_done=done,
            busy="starting the receiver, and waiting for the WAL of this moment",
        )

    # Collecting.

    def action_collect(self) -> None:
        """Ask, then copy what is usable into a new archive."""
        session = self.session
        if self.at_work:
            return
        place = collecting.new_place(session)

        def done(found: Collected) -> None:
            self._collected, session.collected = (found, place), place
            if session.archive_directory is None or found.linked:
                self.use_place(place)
            self.show_others()
            for before, after in found.gaps:
                lost = after.number - before.number - 1
                self.show_problem(PitrError(f"{lost} segments are missing after {before.name}"))

        collecting.ask_and_collect(self, place, done)
