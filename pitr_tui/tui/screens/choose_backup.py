"""Which base backup to start from, with what speaks against each of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.choice import Candidate, ended_at
from pitr_tui.repositories.backups import Backup, BrokenBackup
from pitr_tui.tui.literal import assemble, lines, literal
from pitr_tui.tui.screens.zones import Zone
from pitr_tui.wording import size_text

_NAME_CELLS = 18
_AUTOMATIC = "automatic"


class ChooseBackupDialog(ModalScreen[str]):
    """Gives the path of a backup as text, "" for the one that fits best, None for no change."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "Close")]

    def __init__(
        self, found: Sequence[Candidate], chosen: Backup | None, own: bool, zone: Zone
    ) -> None:
        super().__init__()
        self._found, self._chosen, self._own, self._zone = found, chosen, own, zone

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(literal("Which base backup?"), classes="dialog-title")
            yield OptionList(id="candidates")
            yield Static(
                literal(
                    "\nA recovery starts from a backup that was over before the target. "
                    "The newest one of those needs the least replay."
                )
            )
            yield Static(
                "↑↓ choose   enter take it   esc close", markup=False, classes="dialog-keys"
            )

    def on_mount(self) -> None:
        listing = self.query_one(OptionList)
        mark = " " if self._own else "✓"
        listing.add_option(
            Option(literal(f"{mark} the newest that fits, chosen for every target"), id=_AUTOMATIC)
        )
        for one in reversed(self._found):
            path = str(one.backup.path)
            broken = isinstance(one.backup, BrokenBackup)
            listing.add_option(Option(self._row(one), id=path, disabled=broken))
        paths = [str(one.backup.path) for one in reversed(self._found)]
        chosen = str(self._chosen.path) if self._chosen is not None else ""
        listing.highlighted = paths.index(chosen) + 1 if chosen in paths else 0
        listing.focus()

    def _row(self, one: Candidate) -> Content:
        backup, why = one.backup, one.why_not
        name = f"{one_line(backup.path.name):<{_NAME_CELLS}} "
        if isinstance(backup, BrokenBackup):
            return lines(
                literal(f"  {name} cannot be used", "$text-muted"),
                literal(f"    {backup.problem.what}", "$text-muted"),
            )
        mine = self._chosen is not None and backup.path == self._chosen.path
        ended = ended_at(backup)
        shown = backup.stop_time or backup.label.start_time
        if ended is not None:
            shown = f"{ended.astimezone(self._zone.zone):%Y-%m-%d %H:%M:%S}"
        which = "ended" if backup.stop_time else "began"  # not every backup tells both
        about = f"{which} {shown}  {backup.format}  {size_text(backup.total_bytes):>8}"
        head = assemble(
            ("✓ " if mine and self._own else "▸ " if mine else "  "),
            (name, "$text-muted" if why else "bold"),
            (about, "$text-muted" if why else ""),
        )
        return lines(head, literal(f"    ✗ {why}", "$text-muted")) if why else head

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        chosen = event.option_id or ""
        self.dismiss("" if chosen == _AUTOMATIC else chosen)

    def action_close(self) -> None:
        self.dismiss(None)
