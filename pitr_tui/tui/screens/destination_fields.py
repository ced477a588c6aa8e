"""Where a new copy goes: a destination, an image where it is a container, a port."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from pitr_tui.storage.location import engine_location
from pitr_tui.tui.reach import Place
from pitr_tui.tui.screens.where import (
    Where,
    new_directory,
    new_volume,
    proposed_image,
    proposed_place,
    read_where,
)
from pitr_tui.tui.session import Session


class DestinationFields(Vertical):
    """Three fields, filled in with a proposal until the person types something else."""

    DEFAULT_CSS = "DestinationFields { height: auto; }"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._proposed = self._proposed_image = ""

    def compose(self) -> ComposeResult:
        with Horizontal(classes="field"):
            yield Static("recover into", markup=False, classes="field-name")
            yield Input(placeholder="a new directory, or volume:NAME", id="destination")
        with Horizontal(classes="field", id="image-row"):
            yield Static("image", markup=False, classes="field-name")
            yield Input(placeholder="the primary's own", id="image")
        with Horizontal(classes="field"):
            yield Static("port", markup=False, classes="field-name")
            yield Input(placeholder="none: nobody else can reach it", id="port")

    @property
    def in_use(self) -> bool:
        """Whether one of them has the focus."""
        return self.has_focus_within

    def propose(self) -> None:
        """A new place and an image, where nothing else was typed."""
        destination, image = self._field("destination"), self._field("image")
        if destination.value == self._proposed:
            self._fill_in(self._proposal())
        if image.value == self._proposed_image:
            self._proposed_image = proposed_image(self.session)
            with self.prevent(Input.Changed):
                image.value = self._proposed_image
        origin = self.session.origin
        image.placeholder = f"the primary's own ({origin.image})" if origin else "postgres:MAJOR"

    def propose_elsewhere(self) -> None:
        """A container in place of a directory of this machine, or the other way round."""
        there = engine_location(self._field("destination").value) is not None
        self._fill_in(new_directory(self.session) if there else new_volume(self.session))

    def where(self) -> Where:
        """What they say. Raises PitrError."""
        where = read_where(*(self._field(name).value for name in ("destination", "port", "image")))
        self.query_one("#image-row").display = where.contained
        return where

    def type(self) -> None:
        self._field("destination").focus()

    def _proposal(self) -> Place:
        """A new place; what was proposed before is kept while nothing was recovered into it."""
        known, standing = self.session.destination, self.session.standing
        unused = not known.exists() if isinstance(known, Path) else self.session.run is None
        if standing is not None and str(known) == standing.plan.secondary.destination:
            unused = False
        return known if known is not None and unused else proposed_place(self.session)

    def _fill_in(self, place: Place) -> None:
        self._proposed = str(place)
        with self.prevent(Input.Changed):
            self._field("destination").value = self._proposed

    def _field(self, name: str) -> Input:
        return self.query_one(f"#{name}", Input)
