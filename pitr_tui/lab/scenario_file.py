"""Scenarios as files: those that come with pitr, and those of the person.

A file is looked at as a whole before anything of it is used, and all of its mistakes are told.
Its SQL runs as a superuser of the lab's own server: a scenario from elsewhere is a program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError, UsageError
from pitr_tui.lab import template
from pitr_tui.lab.deeds_file import FORBIDDEN_SETTINGS, StepReader
from pitr_tui.lab.scenario import Answer, Branch, Deed, Difficulty, Scenario, WorldOrder
from pitr_tui.lab.scenario_nodes import NodeReader, ScenarioError, read_nodes
from pitr_tui.postgres.version import PostgresVersion

if TYPE_CHECKING:
    from yaml.nodes import Node

__all__ = [
    "ScenarioError",
    "built_in",
    "find",
    "load",
    "own",
    "own_broken",
    "own_directory",
    "own_files",
]

TEACHING_ORDER = (
    "wrong-rows",
    "dropped-table",
    "truncated-table",
    "update-without-where",
    "deleted-part",
    "failed-deployment",
    "dropped-database",
    "keep-later-rows",
    "disk-gone",
    "last-segment",
    "missing-segment",
    "corrupt-segment",
    "broken-backup",
    "backup-too-new",
    "stray-timeline",
    "other-zone",
    "idle-server",
    "raised-connections",
    "tablespace",
)
COACHED_STEPS = ("connect", "archive", "backups", "target", "plan", "recover", "verify")
_HINTS = 3
_NEEDED = ("name", "title", "story", "difficulty", "minutes", "steps", "hints", "expert")
_ALLOWED = ("answer", "world", "coach", "since")
_ENDINGS = (".yaml", ".yml")
_HINT = "`pitr lab` lists the scenarios that there are"


def built_in() -> tuple[Scenario, ...]:
    """The scenarios that come with pitr, in the order in which one learns by them."""
    return tuple(load(_built_in_path(name)) for name in TEACHING_ORDER)


def own_directory() -> Path:
    """Where scenarios of the person are looked for."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "pitr" / "scenarios"


def own_files() -> tuple[Path, ...]:
    """The person's own scenarios; none of them is read here."""
    directory = own_directory()
    if not directory.is_dir():
        return ()
    return tuple(sorted(path for path in directory.iterdir() if path.suffix in _ENDINGS))


def own() -> tuple[Scenario, ...]:
    """The person's own scenarios, without those whose files are not right."""
    return tuple(one for one in _own().values() if isinstance(one, Scenario))


def own_broken() -> dict[Path, PitrError]:
    """The person's own files that are not right, with what is wrong in each."""
    return {path: one for path, one in _own().items() if isinstance(one, PitrError)}


def _own() -> dict[Path, Scenario | PitrError]:
    found: dict[Path, Scenario | PitrError] = {}
    for path in own_files():
        try:
            found[path] = load(path)
        except PitrError as error:
            found[path] = error
    return found


def find(name_or_path: str) -> Scenario:
    """A scenario by its name, built in or the person's, or by the path of its file.

    What has a slash or ends in .yaml is a path. A file of the person goes by the name in it, and
    else by its own. Raises ScenarioError, UsageError, PitrError.
    """
    if "/" in name_or_path or name_or_path.endswith(_ENDINGS):
        return load(Path(name_or_path))
    if name_or_path in TEACHING_ORDER:
        return load(_built_in_path(name_or_path))
    mine = {one.name: one for one in own()}
    if name_or_path in mine:
        return mine[name_or_path]
    by_file = {path.stem: path for path in own_files()}
    if name_or_path in by_file:
        return load(by_file[name_or_path])
    broken = "".join(
        f"\n{path} is not right: `pitr lab validate` tells why" for path in own_broken()
    )
    raise UsageError(
        f"there is no scenario {name_or_path!r}",
        f"there are {', '.join((*TEACHING_ORDER, *mine))}{broken}",
        f"{_HINT}; a file of your own goes by its path",
    )


def load(path: Path) -> Scenario:
    """Read a scenario. Raises ScenarioError with all of its mistakes, or PitrError."""
    text, root = read_nodes(path)
    reader = _Reader(text)
    scenario = reader.scenario(root)
    if scenario is None or reader.nodes.mistakes:
        raise ScenarioError(path, reader.nodes.mistakes, _hint())
    return scenario


def _hint() -> str:
    return f"take a scenario that comes with pitr for a pattern, in {_built_in_path('').parent}"


def _built_in_path(name: str) -> Path:
    return Path(str(files("pitr_tui.lab") / "scenarios" / f"{name}.yaml"))


class _Reader:
    """Reads the top of a file; `deeds_file` reads its steps."""

    def __init__(self, text: str) -> None:
        self.nodes = NodeReader()
        self._text = text

    def scenario(self, root: Node) -> Scenario | None:
        """What the file says; None when something of it is missing."""
        given = self.nodes.mapping(root, "a scenario", _NEEDED, _ALLOWED)
        steps = StepReader(self.nodes)
        deeds: tuple[Deed, ...] = steps.steps(given["steps"]) if "steps" in given else ()
        texts = dict(self._texts(given))
        name = self.nodes.name(given["name"], "name") if "name" in given else None
        title = self.nodes.text(given["title"], "title", 60) if "title" in given else None
        difficulty = (
            self.nodes.choice(given["difficulty"], "difficulty", Difficulty)
            if "difficulty" in given
            else None
        )
        minutes = (
            self.nodes.whole(given["minutes"], "minutes", 1, 240) if "minutes" in given else None
        )
        answer: Answer | None = Answer.SECONDARY
        if "answer" in given:
            answer = self.nodes.choice(given["answer"], "answer", Answer)
        world = self._world(given["world"]) if "world" in given else WorldOrder()
        hints = self._hints(given["hints"]) if "hints" in given else ()
        coach = self._coach(given["coach"]) if "coach" in given else {}
        since = self._since(given["since"]) if "since" in given else None
        self._check_templates(given, steps)
        if world.tablespace and any(isinstance(deed, Branch) for deed in deeds):
            # The trial would work in the very directories of the backup's tablespaces.
            self.nodes.wrong(given["steps"], "a branch cannot be played with a tablespace")
        story, expert = texts.get("story"), texts.get("expert")
        if not (name and title and story and expert and difficulty and minutes and answer):
            return None
        return Scenario(
            name=name,
            title=title,
            story=story,
            difficulty=difficulty,
            minutes=minutes,
            answer=answer,
            world=world,
            steps=deeds,
            hints=hints,
            expert=expert,
            coach=coach,
            since=since,
            text=self._text,
        )

    def _texts(self, given: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
        for key, most in (("story", 800), ("expert", 1200)):
            text = self.nodes.text(given[key], key, most) if key in given else None
            if text is not None:
                yield key, text

    def _world(self, node: Node) -> WorldOrder:
        keys = ("customers", "rate", "settings", "tablespace")
        given = self.nodes.mapping(node, "world", (), keys)
        default = WorldOrder()
        customers = rate = tablespace = None
        if "customers" in given:
            customers = self.nodes.whole(given["customers"], "customers", 5, 1000)
        if "rate" in given:
            rate = self.nodes.number(given["rate"], "rate", 0, 50)
        if "tablespace" in given:
            tablespace = self.nodes.truth(given["tablespace"], "tablespace")
        settings: Mapping[str, str] = {}
        if "settings" in given:
            settings = self.nodes.settings(given["settings"], "settings", FORBIDDEN_SETTINGS)
        return WorldOrder(
            default.customers if customers is None else customers,
            default.rate if rate is None else rate,
            settings,
            bool(tablespace),
        )

    def _hints(self, node: Node) -> tuple[str, ...]:
        hints = self.nodes.texts(node, "a hint", 800)
        found = len(self.nodes.items(node, "hints"))
        if found and found != _HINTS:
            self.nodes.wrong(
                node,
                f"there are {found} hints; {_HINTS} are needed, from vague to nearly the command",
            )
        return hints

    def _coach(self, node: Node) -> dict[str, str]:
        given = self.nodes.mapping(node, "coach", (), COACHED_STEPS)
        found = {key: self.nodes.text(value, f"coach {key}", 400) for key, value in given.items()}
        return {key: text for key, text in found.items() if text is not None}

    def _since(self, node: Node) -> PostgresVersion | None:
        text = self.nodes.text(node, "since")
        if text is None:
            return None
        try:
            version = PostgresVersion.parse(text)
            version.require_supported()
        except PitrError:
            self.nodes.wrong(node, f"since is {text!r}; allowed is a major version from 9.6 to 18")
            return None
        return version

    def _check_templates(self, given: Mapping[str, Node], steps: StepReader) -> None:
        """The names in braces of every text, which the steps have to note."""
        from yaml.nodes import MappingNode, ScalarNode, SequenceNode

        nodes: list[Node] = [given[key] for key in ("story", "expert") if key in given]
        for key in ("hints", "coach"):
            node = given.get(key)
            if isinstance(node, SequenceNode):
                nodes += node.value
            elif isinstance(node, MappingNode):
                nodes += [value for _, value in node.value]
        for node in nodes:
            if isinstance(node, ScalarNode):
                plot = steps.plot
                for words in template.mistakes(str(node.value), list(plot.noted), plot.with_xid):
                    self.nodes.wrong(node, words)
