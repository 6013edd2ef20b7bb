"""The smallest value that a JSON schema takes: what a request must have to get as far as the endpoint."""

from typing import Any


def smallest(schema: dict[str, Any], defined: dict[str, Any]) -> Any:
    """A value of this schema; `defined`: what `$ref` refers to, by the last part of the name."""
    if "$ref" in schema:
        return smallest(defined[schema["$ref"].rpartition("/")[2]], defined)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return smallest(schema[choice][0], defined)
    if "const" in schema or "enum" in schema:
        return schema.get("const", *schema.get("enum", [])[:1])
    return _of_type(schema.get("type", "object"), schema, defined)


def _of_type(kind: str, schema: dict[str, Any], defined: dict[str, Any]) -> Any:
    if kind == "object":
        parts = schema.get("properties", {})
        return {name: smallest(parts[name], defined) for name in schema.get("required", [])}
    if kind == "array":
        return [smallest(schema["items"], defined)] * schema.get("minItems", 0)
    one = max(1, schema.get("minimum", 1))
    text = "x" * max(1, schema.get("minLength", 1))
    return {"string": text, "integer": one, "number": one, "boolean": False, "null": None}[kind]
