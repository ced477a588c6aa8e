"""What a plan of this machine has, typed: tests of every kind look into its directory."""

from __future__ import annotations

from pathlib import Path

from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.storage.path import ReadPath


def local(plan: RecoveryPlan) -> LocalSecondary:
    """The plan's secondary, which is one of this machine."""
    assert isinstance(plan.secondary, LocalSecondary)
    return plan.secondary


def on_disk(path: ReadPath) -> Path:
    """A path of the engine's, which is one of this machine."""
    assert isinstance(path, Path)
    return path
