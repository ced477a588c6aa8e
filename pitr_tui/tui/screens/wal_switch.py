"""The key that brings what a primary wrote last into the archive."""

from __future__ import annotations

from textual.binding import Binding

from pitr_tui.servers.primary import Primary
from pitr_tui.tui.screens.archive_change import prove
from pitr_tui.tui.screens.dialogs import ConfirmDialog
from pitr_tui.tui.screens.minute_zero import switch_text
from pitr_tui.tui.screens.receiving import is_received
from pitr_tui.tui.screens.wal_pane import WalPane

SWITCH = Binding(
    "s,f7",
    "switch",
    "Switch WAL",
    id="switch",
    tooltip="finish the primary's segment, wait until it is archived, check again",
)


class SwitchPane(WalPane):
    """Finishes the segment that the primary is writing, once confirmed; a step binds SWITCH."""

    def switching(self) -> None:
        """It was confirmed, and begins now."""

    def action_switch(self) -> None:
        """Ask; then bring what the primary wrote last into the archive, and read it."""
        session = self.session
        if self._archiving_primary() is None or self.at_work or session.facts is None:
            return

        def decided(sure: bool | None) -> None:
            if sure:
                self.switching()
                self.run_job(
                    lambda emit, cancel: prove(session, cancel),
                    on_done=lambda _: self.read_wal(),
                    busy="finishing a segment and waiting for it in the archive",
                )

        text = switch_text(session.facts.version)
        dialog = ConfirmDialog("Finish the primary's segment?", text, "Finish it")
        self.app.push_screen(dialog, decided)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Switching the WAL needs the primary, and an archive that it still comes into."""
        if action != "switch":
            return super().check_action(action, parameters)
        session = self.session
        place = session.archive_directory
        filled = place != session.other_archive or is_received(session, place)
        return filled and self._archiving_primary() is not None

    def _archiving_primary(self) -> Primary | None:
        session = self.session
        if session.database is None or session.primary_is_down or session.facts is None:
            return None
        return None if session.facts.in_recovery else Primary(session.database)
