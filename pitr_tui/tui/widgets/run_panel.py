"""A run on the screen, drawn from its events alone: live ones, or those of a journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from pitr_tui.recovery.events import LogArrived, Stamped
from pitr_tui.recovery.state import RunView
from pitr_tui.tui.widgets.log_pane import LogPane
from pitr_tui.tui.widgets.run_head import draw_end, draw_head


class RunPanel(Vertical):
    """Badge, progress, steps, log and result of one run; `feed` it with events in their order."""

    DEFAULT_CSS = """
    RunPanel {
        height: 1fr;
        .run-head { height: 5; text-wrap: nowrap; text-overflow: ellipsis; }
        .run-end { height: auto; max-height: 9; margin-top: 1; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.view = RunView()
        self.left = ""  # what a run has left that was cut off, or whose server has gone
        self.log_pane = LogPane()

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, classes="run-head")
        end = Static("", markup=False, classes="run-end")
        end.display = False
        yield end
        yield self.log_pane

    def feed(self, events: Iterable[Stamped]) -> None:
        """Take in what happened, and draw the sum of it once."""
        arrived: list[str] = []
        self.left = ""
        for stamped in events:
            self.view.apply(stamped)
            if isinstance(stamped.event, LogArrived):
                arrived.append(stamped.event.text)
        if arrived:
            self.log_pane.write(arrived)
        self._draw()

    def restart(self) -> None:
        """Begin anew, for the events of another run."""
        self.show(RunView(), ())

    def show(self, view: RunView, log: Sequence[str], left: str = "") -> None:
        """A run as it stands, with its log; what is `left` of a halted one is told."""
        self.view, self.left = view, left
        if left:
            view.rate = 0.0
        self.log_pane.view.clear()
        if log:
            self.log_pane.write(log)
        self._draw()

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        head = draw_head(self.view, self.size.width, bool(self.left))
        self.query_one(".run-head", Static).update(head, layout=False)
        told, end = draw_end(self.view, self.left), self.query_one(".run-end", Static)
        end.display = told is not None
        if told is not None:
            end.update(told)
