"""What becomes of a recovered secondary: opened for writing, thrown away, or kept as a service."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from pitr_tui.recovery.aftercare import promote
from pitr_tui.recovery.events import Promoted, Stamped
from pitr_tui.recovery.fate import promote_run
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.recovery.verify import ServerState
from pitr_tui.servers.container_secondary import ContainerSecondary
from pitr_tui.servers.secondary import Secondary
from pitr_tui.tui.messages import StepWanted
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.discarding import FATE, THROW_AWAY, Discarding
from pitr_tui.tui.screens.typed import TypedConfirmDialog
from pitr_tui.tui.screens.where import name_of, secondary_service, write_new
from pitr_tui.tui.session import WizardStep


class SecondaryFate(Discarding):
    """The keys that decide over the secondary; each asks first, the two dear ones for its name."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s,f2", "step_on", "Step on…", tooltip="on to a later target, with this copy"),
        Binding("p,f8", "promote", "Promote…", tooltip="open the secondary for writing"),
        THROW_AWAY,
        Binding(
            "w,f6",
            "keep",
            "Compose…",
            show=False,
            tooltip="write the container down as a service of a compose file",
        ),
    ]

    # What the step does when it is decided.

    def opened(self) -> None:
        """The secondary is open for writing now."""

    # The keys.

    def action_step_on(self) -> None:
        """Choose where to stop next; nothing happens to the secondary before that is confirmed."""
        self.session.afresh = False
        self.notify("Choose a later target for the same copy.", markup=False, timeout=5)
        self.post_message(StepWanted(WizardStep.TARGET))

    def action_promote(self) -> None:
        """Ask for the destination's name, then end the pause and wait until it is open."""
        server, run = self.session.secondary, self.session.run
        record = self.session.record
        if server is None or run is None:
            return

        def decided(sure: bool | None) -> None:
            if sure:
                self.run_job(
                    lambda emit, cancel: _open(record, server),
                    on_done=partial(self._opened, run),
                    busy="opening the secondary for writing",
                    cancel_hint="",
                    group=FATE,
                )

        self.app.push_screen(
            TypedConfirmDialog(
                "Promote the secondary?",
                f"{server.destination}\n\n"
                "It opens for writing, on a new timeline, and cannot go back to the pause. "
                "It archives nothing, and the primary is not touched.",
                name_of(server),
                "Promote",
            ),
            decided,
        )

    def _opened(self, run: RunView, state: ServerState) -> None:
        self.session.standing = None
        run.apply(Stamped(self.session.clock(), Promoted(state.timeline)))
        self.opened()
        self.refresh_bindings()

    def action_keep(self) -> None:
        """Show the secondary as a service of a compose file, and write it if that is wanted."""
        session, server = self.session, self.session.secondary
        if server is None or not isinstance(server, ContainerSecondary):
            return
        service, project = secondary_service(session), session.project
        name = service.name if service is not None else ""
        beside = project.path.parent if project is not None else Path.cwd()
        file = beside / f"compose.{server.name}.yml"
        how = "It has one service, which runs on the recovered data."
        if name and project is not None:
            how = f"With it the service {name} runs on the recovered data:\n"
            how += f"docker compose -f {project.path.name} -f {file.name} up -d {name}"

        def decided(text: str, sure: bool | None) -> None:
            if sure:
                self.run_job(
                    lambda emit, cancel: write_new(file, text),
                    on_done=lambda _: self.notify(f"Written: {file}", markup=False),
                    group="keep",
                )

        def show(text: str) -> None:
            words = f"{file}\n\n{how}\nStop the secondary first: only one server may have its data."
            dialog = ConfirmDialog("Write a compose file?", f"{words}\n\n{text}", "Write it")
            self.app.push_screen(dialog, partial(decided, text))

        self.run_job(lambda emit, cancel: server.recipe.compose(name), on_done=show, group="keep")

    # The frame.

    @property
    def contained(self) -> bool:
        """Whether the secondary is a container."""
        return isinstance(self.session.secondary, ContainerSecondary)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys hold only while there is a secondary that they can act on."""
        there, run = self.session.secondary is not None, self.session.run
        if action == "promote":
            paused = run is not None and run.state is RunState.PAUSED and run.promoted is None
            return there and paused
        if action == "step_on":
            return there and self.session.standing is not None
        if action == "keep":
            return self.contained
        return super().check_action(action, parameters)


def _open(record: RunRecord | None, server: Secondary) -> ServerState:
    return promote(server) if record is None else promote_run(record, server)
