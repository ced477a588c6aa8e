"""`pitr lab`: choose a scenario, begin it, ask for help, be scored, end it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError
from pitr_tui.lab import diary, record

if TYPE_CHECKING:  # each action loads only what it needs
    from pitr_tui.lab.play import StartOrder
    from pitr_tui.lab.record import Lab


def scenarios(parsed: argparse.Namespace, output: Output) -> int:
    """Every scenario, in the order in which to learn, with one's best marks so far."""
    from pitr_tui.cli.lab_words import say_scenarios
    from pitr_tui.lab.scenario_file import built_in, own, own_broken

    say_scenarios(built_in(), own(), diary.best_marks(), output)
    for path in own_broken():
        output.fact({"event": "ScenarioBroken", "file": str(path)})
        output.say(f"! {path} is not right: `pitr lab validate` tells every mistake")
    name = record.current_name()
    if name is not None:
        output.say(f"The lab {name} is running: `pitr lab status` tells its story.")
    else:
        output.say("Begin one: pitr lab start NAME")
    return 0


def start(parsed: argparse.Namespace, output: Output) -> int:
    """Make the world, play the scenario in it, and tell the trainee what happened."""
    from pitr_tui.lab.order import Wanted, order_for
    from pitr_tui.lab.scenario_file import find
    from pitr_tui.postgres.version import PostgresVersion

    wanted = Wanted(
        version=PostgresVersion.parse(parsed.major) if parsed.major else None,
        seed=parsed.seed,
        directory=parsed.dir,
        rate=parsed.rate,
        image=parsed.image,
    )
    _begin(order_for(find(parsed.scenario), wanted), output)
    return 0


def status(parsed: argparse.Namespace, output: Output) -> int:
    """What runs, its story once more, and the commands to look at it."""
    from pitr_tui.cli.lab_words import say_status

    say_status(record.require_current(), output)
    return 0


def hint(parsed: argparse.Namespace, output: Output) -> int:
    """The next hint; that it was taken is written down."""
    from pitr_tui.cli.lab_words import say_hint

    say_hint(diary.take_hint(record.require_current()), output)
    return 0


def score(parsed: argparse.Namespace, output: Output) -> int:
    """Compare what was recovered with the truth; exit 0 only for full marks."""
    from pitr_tui.cli.lab_score_words import say_score
    from pitr_tui.cli.places import RunPlaces
    from pitr_tui.lab.score import score as score_of

    lab = record.require_current()
    result = score_of(lab, parsed.run or None, RunPlaces(parsed))
    say_score(result, lab.scenario, output)
    return 0 if result.perfect else 1


def reset(parsed: argparse.Namespace, output: Output) -> int:
    """The same accident once more, in a new world of the same seed."""
    from pitr_tui.lab.order import order_again

    lab = record.require_current()
    order = order_again(lab)
    _end(lab, output)
    _begin(order, output)
    return 0


def stop(parsed: argparse.Namespace, output: Output) -> int:
    """End the lab; its record stays, also where it cannot be read any more."""
    try:
        lab = record.require_current()
    except PitrError:
        name = record.current_name()
        if name is None:
            raise
        _end_damaged(name, output)
    else:
        _end(lab, output)
    return 0


def open_wizard(parsed: argparse.Namespace, output: Output) -> int:
    """The wizard on the lab that runs, or the cards to choose one from."""
    from pitr_tui.cli.wizard import lab_wizard, require_terminal

    require_terminal()
    return lab_wizard(record.current(), output)


def work(parsed: argparse.Namespace, output: Output) -> int:
    """The process that goes on committing while the trainee recovers; `start` begins it."""
    from pitr_tui.lab.worker import main

    main(parsed.directory)
    return 0


def begin(order: StartOrder, output: Output) -> Lab:
    """Play a scenario, with its progress. Raises PitrError as `play.start`."""
    from pitr_tui.cli.lab_words import say_phase
    from pitr_tui.cli.signals import cancelling
    from pitr_tui.lab.play import start as play
    from pitr_tui.recovery.cancellation import Cancellation

    output.say(
        f"{order.scenario.title}: PostgreSQL {order.installation.version}, seed {order.seed}"
    )
    cancel = Cancellation()
    with cancelling(cancel):
        return play(order, lambda one: say_phase(one, output), cancel)


def end(lab: Lab) -> tuple[str, ...]:
    """End a lab to its end, whatever signals come; give what it leaves elsewhere."""
    from pitr_tui.cli.signals import cancelling
    from pitr_tui.lab.ending import stop as end_lab
    from pitr_tui.recovery.cancellation import Cancellation

    with cancelling(Cancellation()):
        return end_lab(lab)


def _begin(order: StartOrder, output: Output) -> None:
    from pitr_tui.cli.lab_words import lab_fact, say_lab

    lab = begin(order, output)
    output.fact({"event": "LabStarted", **lab_fact(lab)})
    say_lab(lab, output)


def _end_damaged(name: str, output: Output) -> None:
    from pitr_tui.lab.place import end_damaged

    removed = end_damaged(name)
    output.fact({"event": "LabStopped", "lab": name, "left": []})
    output.say(f"✓ the lab {name} has ended; its record cannot be read")
    if removed is not None:
        output.say(f"  its servers are stopped, and {removed} is gone")
    else:
        output.say("  nothing tells where its servers and files are: look for them with `ps`")


def _end(lab: Lab, output: Output) -> None:
    from pitr_tui.cli.lab_words import say_text

    left = end(lab)
    output.fact({"event": "LabStopped", "lab": lab.name, "left": left})
    output.say(f"✓ the lab {lab.name} has ended, and its directory is gone")
    for sentence in left:
        say_text(sentence, output, 2)
