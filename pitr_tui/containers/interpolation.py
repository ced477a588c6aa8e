"""Variables in compose files: `${NAME}` in values, and the files that give values to names.

Source: docs.docker.com/reference/compose-file/interpolation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pitr_tui.errors import UsageError

_START = re.compile(r"\$(?:(?P<escaped>\$)|(?P<name>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*))")
_OPERATOR = re.compile(r":?[-?+]")
_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][\w.]*)\s*(?:(?P<sign>[=:])\s?(?P<value>.*))?")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def interpolated(text: str, environment: Mapping[str, str]) -> str:
    """The text with its variables replaced; one that is not set is empty, `$$` is a dollar.

    Raises UsageError for a variable that must be set, and for what is no variable.

    >>> interpolated("${USER:-me}@$HOST:${PORT-${OTHER}} $$1", {"HOST": "db", "OTHER": "5433"})
    'me@db:5433 $1'
    """
    parts: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        parts.append(text[position:dollar])
        match = _START.match(text, dollar)
        if match is None:
            raise UsageError(f"{text!r} has a '$' that begins no variable", hint="write $$ for it")
        position = match.end()
        if match["escaped"]:
            parts.append("$")
        elif match["name"]:
            parts.append(environment.get(match["name"], ""))
        else:
            end = _closing_brace(text, position)
            parts.append(_value(match["braced"], text[position:end], environment))
            position = end + 1
    return "".join(parts) + text[position:]


def read_variables(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The names and values of an `.env` file; `environment` is what its values may refer to.

    >>> read_variables("# c\\nexport A=1 # one\\nB='$A'\\nC=\\"$A\\\\n\\"\\nD=${A}2", {})
    {'A': '1', 'B': '$A', 'C': '1\\n', 'D': '12'}
    """
    found: dict[str, str] = {}
    lines = iter(text.removeprefix("\ufeff").splitlines())
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None or not match["sign"]:
            if match and match["name"] in environment:
                found[match["name"]] = environment[match["name"]]
            continue
        value = match["value"].strip()
        quote = value[:1] if value[:1] in ("'", '"') else ""
        while quote and _end_of_quote(value, quote) < 0:
            following = next(lines, None)
            if following is None:
                break
            value += "\n" + following
        found[match["name"]] = _unquoted(value, quote, {**found, **environment})
    return found


def _value(name: str, rest: str, environment: Mapping[str, str]) -> str:
    """The value of `${name` + rest + `}`."""
    value = environment.get(name)
    if not rest:
        return value or ""
    operator = _OPERATOR.match(rest)
    if operator is None:
        raise UsageError(f"'${{{name}{rest}}}' is no variable", hint="write $$ for a dollar")
    there = bool(value) if operator[0].startswith(":") else value is not None
    word = rest[operator.end() :]
    match operator[0][-1]:
        case "-":
            return (value or "") if there else interpolated(word, environment)
        case "+":
            return interpolated(word, environment) if there else ""
        case _:
            if not there:
                said = interpolated(word, environment) or "it has no default"
                raise UsageError(
                    f"the variable {name} is not set",
                    said,
                    f"set it in the environment or in the file .env: {name}=...",
                )
            return value or ""


def _closing_brace(text: str, position: int) -> int:
    depth = 1
    for index in range(position, len(text)):
        if text.startswith("${", index):
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    raise UsageError(f"{text!r} has a '${{' without its '}}'")


def _end_of_quote(value: str, quote: str) -> int:
    for match in re.finditer(r"\\.|['\"]", value[1:], re.DOTALL):
        if match[0] == quote:
            return match.start() + 1
    return -1


def _unquoted(value: str, quote: str, environment: Mapping[str, str]) -> str:
    end = _end_of_quote(value, quote) if quote else -1
    if quote and end > 0:
        inner = value[1:end]
        if quote == "'":
            return inner.replace("\\'", "'")
        inner = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), inner)
        inner = inner.replace('\\"', '"').replace("\\\\", "\\")
        return interpolated(inner.replace("\\$", "$$"), environment)
    return interpolated(re.split(r"\s#", value, maxsplit=1)[0].rstrip(), environment)
