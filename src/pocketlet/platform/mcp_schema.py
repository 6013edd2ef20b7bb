"""The parameters of an MCP tool: what of a server's JSON schema is passed on, and whether arguments keep to it. Pure.

A server's schema is third-party text and code: patterns (which can hang whoever evaluates them), references to other
documents and unknown keywords are dropped, texts are capped, depth and size are limited.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pocketlet import errors
from pocketlet.platform import compose

MAX_DEPTH = 8
MAX_SIZE = 12_000  # characters, as JSON
MAX_PARTS = 1_000
MAX_ENUM = 100
MAX_TEXT = 200  # characters of a description in there
PROPERTY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "object": (dict,),
    "array": (list,), "null": (type(None),),
}  # fmt: skip
LIMITS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems")
CHOICES = ("anyOf", "oneOf", "allOf")
Schema = Mapping[str, Any]


def simplified(schema: Schema) -> dict[str, Any]:
    """The schema of a tool's arguments, an object. Raises errors.BadInput if it can't be offered."""
    found = _Reader(schema).read(schema, 0)
    found |= {"type": "object", "properties": found.get("properties", {})}
    if len(json.dumps(found)) > MAX_SIZE:
        raise errors.BadInput(f"its parameters need more than {MAX_SIZE} characters")
    return found


@dataclass(slots=True)
class _Reader:
    """Reads one schema. References are written out, so a small schema can be a huge one: `left` is what may come."""

    root: Schema
    left: int = MAX_PARTS

    def read(self, schema: object, depth: int) -> dict[str, Any]:
        """One level; what lies deeper than the limit is left open."""
        self.left -= 1
        if self.left < 0:
            raise errors.BadInput(f"its parameters have more than {MAX_PARTS} parts")
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return {}
        given = self._resolved(cast(Schema, schema))
        found = _plain(given)
        if isinstance(given.get("properties"), Mapping):
            found["properties"] = self._properties(given["properties"], depth)
            required = cast(list[Any], given["required"]) if isinstance(given.get("required"), list) else []
            found["required"] = [name for name in found["properties"] if name in required]
        if isinstance(given.get("additionalProperties"), bool):
            found["additionalProperties"] = given["additionalProperties"]
        if "items" in given:
            found["items"] = self.read(given["items"], depth + 1)
        for word in CHOICES:
            if isinstance(given.get(word), list):
                found[word] = [self.read(one, depth + 1) for one in cast(list[Any], given[word])]
        return found

    def _properties(self, given: Schema, depth: int) -> dict[str, Any]:
        for name in given:
            if not PROPERTY.fullmatch(name):
                raise errors.BadInput(f"it has a parameter of the name {name[:80]!r}")
        return {name: self.read(schema, depth + 1) for name, schema in given.items()}

    def _resolved(self, schema: Schema) -> Schema:
        """In the place of a reference within this schema, what it refers to; any other one is left open."""
        for _ in range(MAX_DEPTH):
            if "$ref" not in schema:
                return schema
            schema = self._part(schema["$ref"])
        return {}

    def _part(self, reference: object) -> Schema:
        target: Schema = self.root if isinstance(reference, str) and reference.startswith("#/") else {}
        for part in str(reference)[2:].split("/"):
            target = cast(Schema, target[part]) if isinstance(target.get(part), Mapping) else {}
        return target


def _plain(schema: Schema) -> dict[str, Any]:
    """Type, description, choices and limits."""
    found: dict[str, Any] = {}
    kinds = schema.get("type")
    every = cast(list[object], kinds) if isinstance(kinds, list) else [kinds]
    named = [kind for kind in every if isinstance(kind, str) and kind in TYPES]
    if named:
        found["type"] = named[0] if len(named) == 1 else named
    if isinstance(schema.get("description"), str):
        found["description"] = words(schema["description"], MAX_TEXT)
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(allowed, list) and allowed:
        found["enum"] = _enum(cast(list[Any], allowed))
    for word in LIMITS:
        if isinstance(schema.get(word), int | float) and not isinstance(schema[word], bool):
            found[word] = schema[word]
    return found


def _enum(allowed: Sequence[Any]) -> list[Any]:
    if len(allowed) > MAX_ENUM or any(isinstance(one, str) and compose.visible(one) != one for one in allowed):
        raise errors.BadInput(f"a parameter has more than {MAX_ENUM} choices, or one with unseen characters")
    return list(allowed)


def words(text: str, most: int) -> str:
    """A text of a third party in one line: unseen characters are drawn, and it ends after `most` characters."""
    line = compose.visible(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def mismatch(value: object, schema: Schema, where: str) -> str:
    """What is wrong with a value, in words that the model can act on; nothing if it keeps to a simplified schema."""
    kinds = schema.get("type", [])
    named: list[str] = [kinds] if isinstance(kinds, str) else kinds
    if named and not any(_is(value, kind) for kind in named):
        return f"{where} must be {' or '.join(named)}, not {json.dumps(value)[:80]}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} must be one of {', '.join(map(str, schema['enum']))[:400]}, not {json.dumps(value)[:80]}"
    if isinstance(value, dict):
        return _mismatch_inside(cast(dict[str, Any], value), schema, where)
    if isinstance(value, list) and "items" in schema:
        found = (mismatch(one, schema["items"], f"{where}[{n}]") for n, one in enumerate(cast(list[Any], value)))
        return next(filter(None, found), "")
    return ""


def _is(value: object, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _mismatch_inside(value: Mapping[str, Any], schema: Schema, where: str) -> str:
    properties: Schema = schema.get("properties", {})
    if missing := [name for name in schema.get("required", []) if name not in value]:
        return f"{where} needs {', '.join(missing)}"
    unknown = sorted(value.keys() - properties.keys())
    if unknown and schema.get("additionalProperties") is False:
        return f"{where} has no {', '.join(unknown)}; it has {', '.join(properties)}"
    found = (mismatch(one, properties[name], f"{where}.{name}") for name, one in value.items() if name in properties)
    return next(filter(None, found), "")


def free(value: object, schema: Schema) -> list[str]:
    """What a value says that the reviewed schema leaves open: texts, numbers, names of parameters that it has not."""
    if "enum" in schema or value is None or isinstance(value, bool):
        return []
    if isinstance(value, dict):
        properties: Schema = schema.get("properties", {})
        inside = cast(dict[str, object], value)
        named = [name for name in inside if name not in properties]
        return named + [text for name, one in inside.items() for text in free(one, properties.get(name, {}))]
    if isinstance(value, list):
        return [text for one in cast(list[object], value) for text in free(one, schema.get("items", {}))]
    return [value if isinstance(value, str) else json.dumps(value)]
