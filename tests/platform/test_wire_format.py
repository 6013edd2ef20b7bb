"""What a provider may write that can't be written down again: it becomes text, and the run goes on."""

import json
import math
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.usage import RequestUsage

from pocketlet.platform.gateways import models, wire_format

DEEP = '{"a":' + "[" * 500 + "]" * 500 + "}"
#: As the provider wrote it, and as it is kept. The last is what an SDK makes of 1e999 that came as part of its JSON.
UNREADABLE = [
    ('{"a": 1e999}', '{"a": 1e999}'),
    ('{"a": -1e999}', '{"a": -1e999}'),
    (DEEP, DEEP),
    ([1], "[1]"),
    ({"a": math.inf}, '{"a": Infinity}'),
]


@pytest.mark.parametrize(("written", "kept"), UNREADABLE, ids=["large", "small", "deep", "list", "parsed"])
def test_arguments_that_can_not_be_written_down_again_are_text(written: Any, kept: str) -> None:
    part = ToolCallPart("sql", written, tool_call_id="c1")
    reply = wire_format.reply(ModelResponse(parts=[part], finish_reason="tool_call"))
    assert reply.calls == (models.ToolCall("c1", "sql", None, kept),)
    stored = json.loads(json.dumps(reply.message, allow_nan=False))
    [again] = ModelMessagesTypeAdapter.validate_python([stored])
    assert isinstance(again.parts[0], ToolCallPart)
    assert again.parts[0].args_as_dict() == {"INVALID_JSON": kept}


def test_arguments_of_a_hundred_layers_are_read() -> None:
    raw = '{"a":' + "[" * 99 + "]" * 99 + "}"
    reply = wire_format.reply(ModelResponse(parts=[ToolCallPart("sql", raw)]))
    assert reply.calls[0].args == json.loads(raw)


def test_a_claim_of_more_tokens_than_a_row_holds_is_cut() -> None:
    claimed = RequestUsage(input_tokens=10**30, output_tokens=10**10, cache_read_tokens=10**29)
    reply = wire_format.reply(ModelResponse(parts=[TextPart("Dear.")], usage=claimed))
    assert reply.usage == models.Usage(input=2**31 - 1, output=2**31 - 1, cached=2**31 - 1)
