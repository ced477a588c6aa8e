"""Everything that is asked of a secondary beside the screen: our checks, then the person's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pitr_tui.errors import PitrError
from pitr_tui.recovery.aftercare import aftercare
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.own_checks import own_checks, perform
from pitr_tui.recovery.postflight import postflight, without_todo
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import server_state, system_identifier
from pitr_tui.servers.secondary import Secondary
from pitr_tui.tui.bridge import Emit


class SeenKind(StrEnum):
    OURS = "ours"
    OWN = "own"
    TODO = "to do"


@dataclass(frozen=True, slots=True)
class Seen:
    """A check of the secondary, and whose: ours, the person's own, or what is to do."""

    check: CheckDone
    kind: SeenKind = SeenKind.OURS


def look_at(server: Secondary, run: RunView, emit: Emit[Seen], cancel: threading.Event) -> None:
    """Make every check; of an open one also tell what is to do.

    Raises PitrError when it does not answer.
    """
    todo: tuple[CheckDone, ...] = ()
    if not server_state(server.database, server.version).in_recovery:
        todo = aftercare(server)
    for check in without_todo(postflight(server, run), todo):
        if cancel.is_set():
            return
        emit(Seen(check))
    for check in todo:
        emit(Seen(check, SeenKind.TODO))
    for check in _own(server):
        if cancel.is_set():
            return
        emit(Seen(check, SeenKind.OWN))


def _own(server: Secondary) -> Iterator[CheckDone]:
    """The person's checks; a file that is not right is a failure of its own."""
    try:
        checks = own_checks(system_identifier(server.database))
    except PitrError as error:
        words = ": ".join(filter(None, (error.what, error.why)))
        yield CheckDone("own checks", Status.FAILURE, words, error.hint)
        return
    yield from perform(checks, server.database)
