"""Somebody's earlier recovery: a backup was promoted, and archived into the same archive."""

from __future__ import annotations

import shutil
import threading

from pitr_tui.lab.ground import Ground
from pitr_tui.lab.recorder import Recorder
from pitr_tui.lab.scenario import SHOP, Branch
from pitr_tui.lab.truth import TruthWriter
from pitr_tui.postgres.conf import settings_block
from pitr_tui.recovery import archiving
from pitr_tui.servers.local import LocalServer, socket_settings
from pitr_tui.servers.primary import Primary

_ORDER = (
    "INSERT INTO shop.orders (number, customer_id, ordered, status, total, shipping)"
    " SELECT 'TRIAL-{number}', min(id), timestamptz '2026-10-01 00:00+00', 'open', 0, 0"
    " FROM shop.customers"
)


def try_recovery(
    ground: Ground, writer: TruthWriter, branch: Branch, cancel: threading.Event
) -> None:
    """Recover the backup beside the primary, promote it, commit to it, archive, throw it away.

    Raises PitrError, CancelledError.
    """
    server = ground.server_in(ground.directory / "trial")
    data = server.data_directory
    shutil.copytree(ground.backup_directory / branch.backup, data, symlinks=True)
    for path in (data, *data.rglob("*")):
        ground.user.own(path)
    data.chmod(0o700)
    _configure(ground, server)
    try:
        server.start()
        server.wait_until_open()
        server.wait_until_writable()
        with Recorder(server.database.named(SHOP), writer) as recorder:
            for number in range(1, branch.transactions + 1):
                recorder.statements(
                    [_ORDER.format(number=number)], "somebody's trial after a recovery", good=False
                )
        archiving.prove(Primary(server.database), ground.archive_directory, cancel)
    finally:
        server.stop()
        shutil.rmtree(data)
        server.log_path.unlink(missing_ok=True)


def _configure(ground: Ground, server: LocalServer) -> None:
    """Promote at the end of the backup, and archive as the backup's own settings say."""
    data, user = server.data_directory, ground.user
    source = f"{ground.archive_directory}/%f"
    recovery = {
        "restore_command": f'cp "{source}" "%p"',
        "recovery_target": "immediate",
        "recovery_target_action": "promote",
    }
    own = socket_settings(server.socket_directory, server.port)
    auto_conf = data / "postgresql.auto.conf"
    before = auto_conf.read_text(encoding="utf-8")
    if server.version.uses_recovery_conf:
        user.write_file(data / "recovery.conf", settings_block(recovery))
    else:
        own |= {**recovery, "recovery_target_timeline": "current"}
        user.write_file(data / "recovery.signal", "")
    user.write_file(auto_conf, before + settings_block(own))
