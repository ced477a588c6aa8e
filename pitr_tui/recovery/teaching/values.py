"""The parts of a lesson."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pitr_tui.postgres.quote import conf_value
from pitr_tui.postgres.version import PostgresVersion


class Kind(StrEnum):
    """What something behind a step is."""

    SETTING = "setting"
    FILE = "file"
    COMMAND = "command"
    FUNCTION = "function"
    VIEW = "view"


@dataclass(frozen=True, slots=True)
class Behind:
    """One thing of PostgreSQL's that a step uses, with its value and what that means.

    The value of a command is the whole command; of a function and a view it is what was
    answered, and "" where nothing is known yet. Neighbours with the same meaning belong together.
    `note` tells how it stands, in a few words.
    """

    kind: Kind
    name: str
    value: str
    meaning: str
    note: str = ""

    @property
    def text(self) -> str:
        """As it is written where it counts: in a configuration file, a shell, a query."""
        match self.kind:
            case Kind.SETTING:
                return f"{self.name} = {conf_value(self.value)}"
            case Kind.COMMAND:
                done_otherwise = self.value.startswith("#")  # the plan says so in a comment
                return self.value.lstrip("# ") if done_otherwise else f"$ {self.value}"
            case Kind.FUNCTION:
                return f"{self.name}()" + (f"  gave  {self.value}" if self.value else "")
        return f"{self.name}  {self.value}" if self.value else self.name


@dataclass(frozen=True, slots=True)
class ManualSection:
    """A section of PostgreSQL's manual, of one major version."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one step teaches, for one version. The texts are paragraphs of one line each.

    `source` says where the values in `behind` come from, and `headless` has the commands that do
    the same without the screen.
    """

    step: str
    title: str
    version: PostgresVersion
    what: tuple[str, ...]
    why: tuple[str, ...]
    source: str
    behind: tuple[Behind, ...]
    without: tuple[str, ...]
    manual: tuple[ManualSection, ...]
    headless: tuple[str, ...]

    @property
    def sections(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The parts that are plain text, by their headings, without `behind`."""
        return (
            ("What this step does", self.what),
            ("Why", self.why),
            ("What would go wrong without it", self.without),
        )

    def facts(self) -> dict[str, object]:
        """For programs."""
        return {
            "step": self.step,
            "title": self.title,
            "version": self.version.major,
            "what": self.what,
            "why": self.why,
            "source": self.source,
            "behind": [
                {
                    "kind": one.kind,
                    "name": one.name,
                    "value": one.value,
                    "meaning": one.meaning,
                    "note": one.note,
                }
                for one in self.behind
            ],
            "without": self.without,
            "manual": [{"title": one.title, "url": one.url} for one in self.manual],
            "headless": self.headless,
        }
