"""One entry of `[triggers]` in the text of agent.toml, changed by a form: all else stays as it was written. Pure."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pocketlet import errors

#: The head of a table.
HEAD = re.compile(r"\s*\[")
BESIDE = "Change it in the text of agent.toml, on the playbook's page."


def entry(text: str, name: str) -> dict[str, Any] | None:
    """The entry as its owner wrote it; None if there is none. A mail's address alone is `{"mail": address}`."""
    found = tomllib.loads(text).get("triggers", {}).get(name)
    return {"mail": found} if isinstance(found, str) else found


def zone(text: str) -> str:
    """The time zone of schedules that name none."""
    return str(tomllib.loads(text).get("zone", "")).strip() or "UTC"


def put(text: str, name: str, wanted: Mapping[str, Any]) -> str:
    """With this entry, in the place of the one that has its name. Raises errors.Conflict."""
    lines = [f"[triggers.{name}]", *(f"{key} = {_toml(value)}" for key, value in wanted.items())]
    made = _spliced(text, name, lines)
    expected: dict[str, Any] = tomllib.loads(text)
    expected["triggers"] = {**expected.get("triggers", {}), name: dict(wanted)}
    return _checked(made, expected)


def drop(text: str, name: str) -> str:
    """Without the entry. Raises errors.Conflict."""
    expected: dict[str, Any] = tomllib.loads(text)
    expected["triggers"] = {key: value for key, value in expected.get("triggers", {}).items() if key != name}
    return _checked(_spliced(text, name, []), expected)


def _spliced(text: str, name: str, block: list[str]) -> str:
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    begin, end = _place(lines, name)
    tail = lines[end:]
    apart = [""] if block and tail and tail[0].strip() else []
    before = [""] if block and begin == len(lines) else []
    return "\n".join([*lines[:begin], *before, *block, *apart, *tail]).rstrip("\n") + "\n"


def _place(lines: list[str], name: str) -> tuple[int, int]:
    """Where the entry stands: a table of its own, or a line of `[triggers]`; else the end."""
    own = re.compile(rf"\s*\[\s*triggers\s*\.\s*{name}\s*\]\s*(#.*)?")
    for at, line in enumerate(lines):
        if own.fullmatch(line):
            end = next((n for n in range(at + 1, len(lines)) if HEAD.match(lines[n])), len(lines))
            while end > at + 1 and lines[end - 1].lstrip().startswith("#"):
                end -= 1  # a remark on what follows
            return at, end
    inside = False
    for at, line in enumerate(lines):
        if HEAD.match(line):
            inside = re.fullmatch(r"\s*\[\s*triggers\s*\]\s*(#.*)?", line) is not None
        elif inside and re.match(rf"\s*{name}\s*=", line):
            return at, at + 1
    return len(lines), len(lines)


def _checked(made: str, expected: Mapping[str, Any]) -> str:
    """What was made, if it says this and nothing else: a text may be written in more ways than are understood here."""
    try:
        found = tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        found = {}
    if {"triggers": {}} | found != {"triggers": {}} | dict(expected):
        raise errors.Conflict("agent.toml is written in a way that a form can't change.", hint=BESIDE)
    return made


def _toml(value: object) -> str:
    """JSON is TOML, but for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
