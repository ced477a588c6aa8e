"""The one door for text from outside: never markup, never a control character.

Textual reads `[...]` in a plain string as markup and sends escape sequences through to the
terminal. So no widget is given a string that was not written in this program; it is given
what these functions make of it.
"""

from __future__ import annotations

from textual.content import Content

from pitr_tui.postgres.quote import visible

Part = str | tuple[str, str]


def literal(text: object, style: str = "") -> Content:
    """Any text as it stands, in one style."""
    return Content.styled(visible(str(text)), style)


def assemble(*parts: Part | Content) -> Content:
    """Several texts after one another, each plain or with a style of its own."""
    return Content.assemble(
        *(
            part
            if isinstance(part, Content)
            else literal(part)
            if isinstance(part, str)
            else literal(*part)
            for part in parts
        )
    )


def lines(*rows: Content) -> Content:
    """Rows below one another."""
    return Content("\n").join(rows)
