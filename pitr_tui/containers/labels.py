"""The label that everything of ours in a Docker engine carries."""

from __future__ import annotations

from enum import StrEnum

LABEL = "io.pitr-tui"
RUN_LABEL = "io.pitr-tui.run"
PRIMARY_LABEL = "io.pitr-tui.primary"  # whose WAL a receiver takes
SLOT_LABEL = "io.pitr-tui.slot"  # and through which replication slot


class Role(StrEnum):
    """What a container, a volume or a network of ours is for: the value of `LABEL`."""

    HELPER = "helper"
    SECONDARY = "secondary"
    RECEIVER = "receiver"
    DATA = "data"  # the volume of a secondary
    ARCHIVE = "archive"
    BACKUPS = "backups"
    NETWORK = "network"
    LAB = "lab"  # the primary of a lab: to every command a primary like another


def labels(role: Role, run: str = "") -> dict[str, str]:
    """The labels of a new thing of ours; `run` names the recovery that it belongs to.

    >>> labels(Role.DATA, "20261122-143502")
    {'io.pitr-tui': 'data', 'io.pitr-tui.run': '20261122-143502'}
    """
    return {LABEL: role.value} | ({RUN_LABEL: run} if run else {})
