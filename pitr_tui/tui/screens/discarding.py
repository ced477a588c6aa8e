"""The key that removes a secondary with its data, in whichever step one stands before it."""

from __future__ import annotations

from textual.binding import Binding

from pitr_tui.errors import PitrError
from pitr_tui.recovery.fate import discard_run
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.servers.secondary import Secondary
from pitr_tui.tui import way
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.screens.typed import TypedConfirmDialog
from pitr_tui.tui.screens.where import name_of

FATE = "fate"  # the job that decides over a secondary
THROW_AWAY = Binding(
    "D,f9", "throw_away", "Discard…", tooltip="stop the secondary and remove its data"
)


class Discarding(StepPane):
    """Asks for the secondary's name before it is thrown away; a step binds THROW_AWAY itself."""

    @property
    def doomed(self) -> Secondary | None:
        """The secondary that the key would remove."""
        return self.session.secondary

    def thrown_away(self) -> None:
        """There is no secondary any more."""

    def action_throw_away(self) -> None:
        """Ask for the destination's name, then stop the secondary and remove its data."""
        server, record = self.doomed, self.session.record
        if server is None:
            return

        def decided(sure: bool | None) -> None:
            if sure:
                self.run_job(
                    lambda emit, cancel: _discard(record, server),
                    on_done=lambda _: self._thrown_away(),
                    busy="removing the secondary",
                    cancel_hint="",
                    group=FATE,
                )

        self.app.push_screen(
            TypedConfirmDialog(
                "Throw the secondary away?",
                f"{server.destination}\n\n"
                "It is stopped, and its data are removed with everything in them. "
                "The backup, the WAL archive and the primary stay as they are.",
                name_of(server),
                "Throw away",
            ),
            decided,
        )

    def _thrown_away(self) -> None:
        way.forget_run(self.session)
        self.thrown_away()
        self.refresh_bindings()
        self.changed()
        self.take_focus()

    def back(self) -> bool:
        """Opening and removing are not cut short."""
        if self._jobs.get(FATE) is not None:
            self.show_problem(PitrError("this is not cut short: wait for its end"))
            return True
        return super().back()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There has to be something to remove."""
        if action == "throw_away":
            return self.doomed is not None
        return super().check_action(action, parameters)


def _discard(record: RunRecord | None, server: Secondary) -> None:
    if record is None:
        server.throw_away()
    else:
        discard_run(record, server)
