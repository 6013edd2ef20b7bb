"""Reading a request's JSON, of which nothing is certain."""

import hashlib
import json
from typing import cast

#: Where clients put arguments that were no JSON when they send them back.
INVALID = "INVALID_JSON"


class BadRequest(Exception):
    """The body is not a request of its wire."""


def load(body: bytes) -> dict[str, object]:
    """The JSON object in a body; another JSON value counts as an empty one. Raises BadRequest."""
    try:
        return mapping(cast("object", json.loads(body)))
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON.") from error


def digest(document: dict[str, object]) -> str:
    """sha256 of a request without its seed, so that attempts at the same thing get the same ids."""
    seen = {key: value for key, value in document.items() if key not in {"seed", "metadata"}}
    try:
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
    except RecursionError as error:
        raise BadRequest("The body is nested too deeply.") from error


def mapping(value: object) -> dict[str, object]:
    """The value, or nothing if it is no object."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def mappings(value: object) -> list[dict[str, object]]:
    """The objects in a list, or nothing if it is none."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, object]", item) for item in items if isinstance(item, dict)]


def text(content: object, *, between: str = "\n") -> str:
    """A text, or the texts of blocks."""
    if isinstance(content, str):
        return content
    return between.join(str(part["text"]) for part in mappings(content) if "text" in part)


def arguments(value: object) -> dict[str, object] | None:
    """The arguments of a call, or None of one that was malformed: it counts as not made."""
    try:
        parsed = cast("object", json.loads(value)) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None
    found = mapping(parsed)
    return None if found.keys() == {INVALID} or not isinstance(parsed, dict) else found
