"""Our request and reply, to and from Pydantic AI's messages (which it turns into each provider's wire)."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from pocketlet.platform.gateways import endpoints, models

if TYPE_CHECKING:
    from pydantic_ai.models.anthropic import AnthropicModelSettings

#: What a stored answer keeps. The rest is volatile (times, ids of runs) or kept elsewhere (usage).
KEPT = ("kind", "parts", "model_name", "provider_name", "canonical_system", "finish_reason")

#: Anthropic's wire has none, and Pydantic AI warns about settings that it must drop.
TAKES_SEED = frozenset({"openai", "ollama", "google"})
DEPTH = 100  # of lists and objects in a call's arguments
MOST = 2**31 - 1  # tokens that a call can claim: what a row of the ledger holds


def messages(request: models.Request) -> list[ModelMessage]:
    """The conversation so far; the system text travels in `parameters`."""
    history: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart(request.user)])]
    for turn in request.turns:
        history += ModelMessagesTypeAdapter.validate_python([turn.reply])
        parts: list[ModelRequestPart] = [
            ToolReturnPart(result.tool, result.content, tool_call_id=result.call_id) for result in turn.results
        ]
        if turn.note:
            parts.append(UserPromptPart(turn.note))
        if parts:
            history.append(ModelRequest(parts=parts))
    return history


def parameters(request: models.Request) -> ModelRequestParameters:
    """The system text and the tools."""
    return ModelRequestParameters(
        function_tools=[
            # Not strict: that rewrites the schema, and the model shall get what `canonical` says.
            ToolDefinition(
                name=tool.name,
                parameters_json_schema=tool.parameters,
                description=tool.description,
                strict=False,
            )
            for tool in request.tools
        ],
        instruction_parts=[InstructionPart(request.system)] if request.system else [],
    )


def settings(request: models.Request, endpoint: endpoints.Endpoint, timeout: float) -> ModelSettings:
    """The limits of one call; `timeout` in seconds, for the whole of it."""
    chosen = ModelSettings(max_tokens=request.max_tokens, timeout=timeout, request_timeout=timeout)
    if endpoint.provider in TAKES_SEED:
        chosen["seed"] = request.seed
    elif endpoint.provider == "anthropic" and request.seed:
        # It draws no sample by this, but whoever stands in for it can tell attempts apart.
        cast("AnthropicModelSettings", chosen)["anthropic_metadata"] = {"user_id": str(request.seed)}
    return chosen


def reply(response: ModelResponse) -> models.Reply:
    """The provider's answer; raises ValueError or TypeError if there is nothing in it that is an answer."""
    if not response.parts and response.finish_reason is None:
        raise ValueError("it is empty")
    calls = tuple(_call(part) for part in response.parts if isinstance(part, ToolCallPart))
    usage = response.usage
    return models.Reply(
        text=response.text or "",
        calls=calls,
        usage=models.Usage(
            input=min(usage.input_tokens, MOST),
            output=min(usage.output_tokens, MOST),
            cached=min(usage.cache_read_tokens, usage.input_tokens, MOST),
        ),
        message=_kept(response),
        model=response.model_name or "",
        finish=response.finish_reason or "",
    )


def _call(part: ToolCallPart) -> models.ToolCall:
    # The SDKs don't check what a server sends as arguments; as text it can be stored, shown and sent back.
    written = cast(object, part.args)
    raw = written if isinstance(written, str) else json.dumps({} if written is None else written)
    args = _arguments(raw)
    if args is None:
        part.args = {"INVALID_JSON": raw}  # as Pydantic AI sends back what it can't read; it reads more than we do
    elif not isinstance(written, str | dict):
        part.args = raw
    return models.ToolCall(part.tool_call_id, part.tool_name, args, raw)


def _arguments(raw: str) -> dict[str, object] | None:
    """The JSON object in `raw`, or None; some providers write nothing for a call without arguments."""
    try:
        value: object = json.loads(raw, parse_constant=_refuse, parse_float=_finite) if raw.strip() else {}
    except (ValueError, RecursionError):
        return None
    args = cast("dict[str, object]", value) if isinstance(value, dict) else None
    return None if args is None or _too_deep(args) else args


def _finite(written: str) -> object:
    # 1e999 is JSON; Infinity, which it would be written down as, is none.
    return value if math.isfinite(value := float(written)) else _refuse(written)


def _too_deep(args: dict[str, object]) -> bool:
    # What the parser just took may be too much for the encoder, which is called from deeper on the stack.
    layer: list[object] = [args]
    for _ in range(DEPTH):
        inside = [_inside(item) for item in layer]
        layer = [item for items in inside for item in items]
    return bool(layer)


def _inside(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return cast("dict[str, object]", item).values()
    return cast("list[object]", item) if isinstance(item, list) else ()


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _kept(response: ModelResponse) -> dict[str, Any]:
    dumped = cast("dict[str, Any]", ModelMessagesTypeAdapter.dump_python([response], mode="json")[0])
    parts = [_without_empty(part) for part in dumped["parts"]]
    return {**_without_empty({key: dumped.get(key) for key in KEPT}), "parts": parts}


def _without_empty(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if value is not None}
