"""`budget` in the text of agent.toml, changed by a form: all else stays as it was written. Pure."""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal

from pocketlet import errors
from pocketlet.agents import manifest as manifests
from pocketlet.agents.triggers import written

TABLE = re.compile(r"\s*\[\s*budget\s*\]\s*(#.*)?")
LINE = re.compile(r"^\s*budget\s*=[^#]*?(\s*#.*)?$")


def put(text: str, run: Decimal, day: Decimal) -> str:
    """With these caps of one run and of a UTC day, in USD. Raises errors.Conflict."""
    caps = {"run": run, "day": day}
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    heads = [at for at, line in enumerate(lines) if written.HEAD.match(line)] + [len(lines)]
    own = next((at for at, line in enumerate(lines) if TABLE.fullmatch(line)), None)
    beside = next((at for at in range(heads[0]) if LINE.fullmatch(lines[at])), None)
    if own is not None:
        end = next(at for at in heads if at > own)
        lines[own + 1 : end] = _set(lines[own + 1 : end], caps)
    elif beside is not None:
        lines[beside] = LINE.sub(rf"budget = {{run = {run:f}, day = {day:f}}}\1", lines[beside])
    else:
        lines += ["", "[budget]", *_set([], caps)]
    return _checked("\n".join(lines) + "\n", text, caps)


def _set(lines: list[str], caps: Mapping[str, Decimal]) -> list[str]:
    """What stands in `[budget]`, with these amounts: remarks stay."""
    for name in ("day", "run"):
        known = re.compile(rf"(\s*{name}\s*=\s*)[^\s#]+(.*)")
        at = next((at for at, line in enumerate(lines) if known.fullmatch(line)), None)
        if at is None:
            lines = [f"{name} = {caps[name]:f}", *lines]
        else:
            lines[at] = known.sub(rf"\g<1>{caps[name]:f}\2", lines[at])
    return lines


def _checked(made: str, text: str, caps: Mapping[str, Decimal]) -> str:
    """What was made, if it says this and nothing else: a text may be written in more ways than are understood here."""
    try:
        found = tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        found = {}
    if found | {"budget": 0} != tomllib.loads(text) | {"budget": 0} or manifests.parse(made).budget != caps:
        raise errors.Conflict("agent.toml is written in a way that a form can't change.", hint=written.BESIDE)
    return made
