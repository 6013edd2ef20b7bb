"""The parameters of MCP tools: what of a hostile schema is passed on, and what arguments may be."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.platform import mcp_schema

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "title": "Args",
    "properties": {
        "n": {"type": "number", "minimum": 1, "description": "How\u200b many.\n" + "z" * 1000},
        "yes": {"type": "boolean", "default": True},
        "who": {"anyOf": [{"type": "string", "pattern": "^(a+)+$"}, {"type": "null"}]},
        "kind": {"const": "x"},
        "point": {"$ref": "#/$defs/Point"},
        "far": {"$ref": "https://evil.example/schema.json"},
        "list": {"type": "array", "items": {"type": ["integer", "null"]}},
    },
    "required": ["n", "ghost"],
    "additionalProperties": False,
    "$defs": {"Point": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Point"}}, "required": ["next"]}},
}


def test_a_schema_is_cut_to_what_is_understood() -> None:
    found = mcp_schema.simplified(SCHEMA)
    properties = found["properties"]
    assert (found["type"], found["required"], found["additionalProperties"]) == ("object", ["n"], False)
    assert properties["n"]["description"].startswith("How⟨U+200B⟩ many. zzz")
    assert len(properties["n"]["description"]) == mcp_schema.MAX_TEXT
    assert properties["yes"] == {"type": "boolean"}
    assert properties["who"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert properties["kind"] == {"enum": ["x"]}
    assert properties["far"] == {}
    assert properties["point"]["properties"]["next"]["type"] == "object"
    assert "$ref" not in json.dumps(found)


BOMB = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}] * 50}}, "properties": {"x": {"$ref": "#/$defs/a"}}}
UNUSABLE: list[dict[str, Any]] = [
    BOMB,
    {"properties": {"a b": {}}},
    {"properties": {"x": {"enum": [str(number) for number in range(101)]}}},
    {"properties": {"x": {"enum": ["a\u202eb"]}}},
    {"properties": {f"p{number}": {"description": "d" * 200} for number in range(100)}},
]


@pytest.mark.parametrize("schema", UNUSABLE, ids=["bomb", "name", "choices", "unseen", "size"])
def test_a_schema_that_can_not_be_offered(schema: dict[str, Any]) -> None:
    with pytest.raises(errors.BadInput):
        mcp_schema.simplified(schema)


GOOD: list[dict[str, Any]] = [{"n": 1}, {"n": 1.5, "yes": False}, {"n": 1, "who": None}, {"n": 1, "list": [1, None]}]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "t needs n"),
    ({"n": True}, "t.n must be number, not true"),
    ({"n": 1, "yes": 1}, "t.yes must be boolean, not 1"),
    ({"n": 1, "kind": "y"}, 't.kind must be one of x, not "y"'),
    ({"n": 1, "list": ["a"]}, 't.list[0] must be integer or null, not "a"'),
    ({"n": 1, "other": 1}, "t has no other; it has n, yes, who, kind, point, far, list"),
]


def test_arguments_are_checked() -> None:
    schema = mcp_schema.simplified(SCHEMA)
    assert not [args for args in GOOD if mcp_schema.mismatch(args, schema, "t")]
    assert [mcp_schema.mismatch(args, schema, "t") for args, _ in WRONG] == [said for _, said in WRONG]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "$ref", "enum", "anyOf", "required", "x", "description"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.sampled_from(["type", "properties", "$defs", "required", "allOf", "items"]), JSON), JSON)
def test_no_schema_and_no_arguments_break_the_reader(schema: dict[str, Any], value: Any) -> None:
    try:
        found = mcp_schema.simplified(schema)
    except errors.BadInput:
        return
    assert found["type"] == "object"
    mcp_schema.mismatch(value, found, "t")
    mcp_schema.free(value, found)


def test_what_arguments_say_beyond_the_schema() -> None:
    schema = mcp_schema.simplified({key: value for key, value in SCHEMA.items() if key != "additionalProperties"})
    assert mcp_schema.free({"n": 7, "yes": True, "kind": "x", "who": None}, schema) == ["7"]
    assert mcp_schema.free({"who": "ann", "list": [1], "far": {"a": ["b"]}}, schema) == ["ann", "1", "a", "b"]
    assert mcp_schema.free({"stolen": "words"}, schema) == ["stolen", "words"]
