"""The one place that asks a person for a yes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pitr_tui.cli.output import Output
from pitr_tui.errors import CancelledError, RefusedError
from pitr_tui.postgres.quote import visible


def can_ask(output: Output) -> bool:
    """Whether somebody is there who could answer."""
    return not output.as_json and sys.stdin.isatty()


def confirmed(question: str) -> bool:
    """Whether the answer is a yes. The end of the input (ctrl-d) is none."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()  # the answer's line is still open
        return False


def require_yes(question: str, output: Output, otherwise: str = "nothing was changed") -> None:
    """Ask, and raise CancelledError for a no; RefusedError where nobody can be asked."""
    if not can_ask(output):
        raise RefusedError(otherwise, "it was not confirmed", "say --yes to accept it")
    with interrupted_means(otherwise):
        if not confirmed(question):
            raise CancelledError(otherwise)


def require_name(parsed: argparse.Namespace, output: Output, name: str, what: str) -> None:
    """Tell what will be done, and go on only when the name of what it is done to was typed.

    `--confirm NAME` answers before. Raises RefusedError for another answer, and where nobody can
    be asked; CancelledError when the person interrupts.
    """
    otherwise = "nothing was changed"
    given = parsed.confirm
    if given is None:
        if not can_ask(output):
            raise RefusedError(otherwise, "it was not confirmed", f"say --confirm {visible(name)}")
        output.say(what)
        with interrupted_means(otherwise):
            try:
                given = input(f"Type {visible(name)} to go on: ").strip()
            except EOFError:
                print()
                given = ""
    if given != name:
        raise RefusedError(
            otherwise, f"{visible(given)!r} is not its name", f"it is called {visible(name)}"
        )


@contextmanager
def interrupted_means(what: str, left: str = "") -> Iterator[None]:
    """Tell an interrupt of this block in words that say what is the case then."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise CancelledError(what, left) from interrupt
