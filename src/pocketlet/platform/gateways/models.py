"""Calls to language models: one provider-neutral request, one attempt, one reply, or one of our errors.

Importing this module is light. Pydantic AI and the providers' clients (1 to 3 s) come with the first call.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pocketlet import crashing
from pocketlet.platform.gateways import endpoints

if TYPE_CHECKING:
    from pocketlet.platform.gateways import clients


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that is offered to the model; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, object]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What the model wants to have called; `args` is None if `raw`, as it wrote it, is not a JSON object."""

    id: str
    name: str
    args: dict[str, object] | None
    raw: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the provider counted them; `input` includes `cached`. All 0: it did not say."""

    input: int
    output: int
    cached: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    `message`: JSON to keep in a Turn, enough to send the answer back (with ids and thinking signatures).
    `model`: as the provider names it. `finish`: stop, length, tool_call, content_filter, error, or empty.
    """

    text: str
    calls: tuple[ToolCall, ...]
    usage: Usage
    message: dict[str, Any]
    model: str
    finish: str


def with_args(message: Mapping[str, Any], call: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """A `Reply.message` in which one call has other arguments: what was done in its place."""
    parts = [
        {**part, "args": dict(args)} if part.get("tool_call_id") == call and "args" in part else part
        for part in message["parts"]
    ]
    return {**message, "parts": parts}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave, for the model to read."""

    call_id: str
    tool: str
    content: str


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier answer (a `Reply.message`), what its calls gave, and a `note` to the model, mostly empty."""

    reply: dict[str, Any]
    results: tuple[ToolResult, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that one model call depends on. `seed` goes to the providers that take one."""

    system: str
    user: str
    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...]
    max_tokens: int
    seed: int = 0


def canonical(request: Request, endpoint_model: str) -> bytes:
    """What the model would receive, as JSON in a fixed order: for hashes, and as a bound of its tokens.

    The seed is left out, so that two samples of the same request hash alike.
    """
    seen = {
        "model": endpoint_model,
        "system": request.system,
        "user": request.user,
        "turns": [[turn.reply["parts"], turn.results, turn.note] for turn in request.turns],
        "tools": request.tools,
        "max_tokens": request.max_tokens,
    }
    text = json.dumps(seen, default=_fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


class Gateway:
    """The way to every model. It keeps a client for each endpoint; use and close it in one event loop."""

    def __init__(self, *, timeout: float = 60.0) -> None:
        """`timeout`: seconds that a whole call may take."""
        self._timeout = timeout
        self._clients: clients.Clients | None = None

    @crashing.io
    async def complete(self, endpoint: endpoints.Endpoint, request: Request) -> Reply:
        """Ask once, without retries.

        Raises ModelBusy (with `retry_after`, in seconds, if the provider named it) if another try is worth
        it, NoModel when the model can't be reached or refuses the request, BadModelReply when its answer
        makes no sense, and BadSetting when the provider's package is not installed.
        """
        from pocketlet.platform.gateways import clients, failures, wire_format

        if self._clients is None:
            self._clients = clients.Clients()
        history = wire_format.messages(request)
        settings = wire_format.settings(request, endpoint, self._timeout)
        parameters = wire_format.parameters(request)
        with failures.translated(endpoint, self._timeout):
            response = await self._clients.ask(endpoint, history, settings, parameters)
            return wire_format.reply(response)

    async def aclose(self) -> None:
        """Close all connections; the gateway can be used again afterwards."""
        opened, self._clients = self._clients, None
        if opened is not None:
            await opened.aclose()


def _fields(item: Any) -> dict[str, object]:
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
