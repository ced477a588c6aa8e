"""`pitr demo`: the whole way, once, on real servers."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import threading

from pitr_tui.cli.output import Output
from pitr_tui.cli.signals import cancelling, ignore_signals
from pitr_tui.cli.wizard import demo_wizard, require_terminal
from pitr_tui.errors import UsageError
from pitr_tui.lab.demo import DemoResult, run_demo
from pitr_tui.lab.tutorial import DATABASE, Phase, Tutorial, demo_directory
from pitr_tui.postgres.quote import shell_word
from pitr_tui.recovery.events import to_json
from pitr_tui.servers.installation import embedded_installation
from pitr_tui.servers.osuser import server_user


def demo(parsed: argparse.Namespace, output: Output) -> int:
    """Play the tutorial; exit code 0 only if the secondary has exactly the good rows."""
    if parsed.rows < 2:
        raise UsageError(f"{parsed.rows} rows tell no story", "", "give --rows at least 2")
    if parsed.tui:
        require_terminal()
    user = server_user()
    installation = embedded_installation(user)
    directory = demo_directory(parsed.dir, user)
    cancel = threading.Event()
    tutorial = Tutorial(
        directory, installation, user, parsed.rows, lambda phase: _tell(phase, output), cancel
    )
    output.say(f"{installation}, as user {user.name}, in {directory}")
    secondary = None
    try:
        if parsed.tui:
            return demo_wizard(tutorial)
        with cancelling(cancel):
            result = run_demo(tutorial, lambda stamped: output.fact(to_json(stamped)), cancel)
        secondary = result.secondary
        _report(result, output)
        if parsed.keep:
            primary, copy = (
                str(server.database.named(DATABASE)) for server in (tutorial.server, secondary)
            )
            output.say(f"Both servers go on running, in {directory}:")
            output.say(f"  primary:   psql {shell_word(primary)}")
            output.say(f"  secondary: psql {shell_word(copy)}")
        output.fact(result.summary())
        return 0 if result.passed else 1
    except BaseException:
        parsed.keep = False
        raise
    finally:
        ignore_signals()
        if not parsed.keep:
            if secondary is not None:
                secondary.stop()
            tutorial.close()
            shutil.rmtree(directory)


def _tell(phase: Phase, output: Output) -> None:
    unit = "byte" if "rows" not in phase.name else "row"
    if phase.seconds is not None:
        output.finished(phase.name, phase.seconds)
        output.fact({"event": "Phase", **dataclasses.asdict(phase)})
    elif phase.total:
        output.progress(phase.name, phase.done, phase.total, unit)
    else:
        output.begin(phase.name)


def _report(result: DemoResult, output: Output) -> None:
    output.say()
    output.say(f"The primary has {result.accident.good:,} good rows and")
    output.say(f"{result.accident.wrong:,} wrong ones. The secondary was recovered up to")
    output.say(f"{result.target_time}; it stopped {result.stop_reason}.")
    sign = "✓" if result.passed else "✗"
    output.say(
        f"{sign} It has {result.recovered.good:,} good rows of {result.expected.good:,}, "
        f"and {result.recovered.wrong:,} wrong ones."
    )
