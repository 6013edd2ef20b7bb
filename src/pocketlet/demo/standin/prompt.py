"""What a request says: its tools, the sections of its prompt, the task, and the calls made so far."""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import cast

HEADINGS = ("Job", "Instructions", "Lessons", "Skills", "Tables", "Facts")
SECTION = re.compile(rf"^# ({'|'.join(HEADINGS)})[ \t]*$", re.MULTILINE)
OUTSIDE = re.compile(r"<outside[^>\n]*>\n?(.*)</outside", re.DOTALL)


class BadRequest(Exception):
    """The request's body is not a chat completion request."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that was made earlier; `result` is None as long as there is none."""

    name: str
    arguments: dict[str, object]
    result: str | None


@dataclass(frozen=True, slots=True)
class Request:
    """A chat completion request. `turn` counts the assistant's messages, `words` the words of all."""

    model: str
    seed: str
    stream: bool
    include_usage: bool
    tools: frozenset[str]
    system: str
    user: str
    calls: tuple[Call, ...]
    turn: int
    words: int
    digest: str

    def section(self, heading: str) -> str:
        """The text under `# heading` of the system prompt, or nothing."""
        parts = SECTION.split(self.system)
        return dict(zip(reversed(parts[1::2]), reversed(parts[2::2]), strict=True)).get(heading, "").strip()

    def result(self, tool: str, /, **arguments: object) -> str | None:
        """What the last call of this tool with (at least) these arguments gave, if there was one."""
        for call in reversed(self.calls):
            same = all(call.arguments.get(key) == value for key, value in arguments.items())
            if call.name == tool and same and call.result is not None:
                return call.result
        return None


@dataclass(frozen=True, slots=True)
class Report:
    """A user message: `key: value` lines, facts, and the text: what stands between the outside marks, or else
    in a task after the first blank line.
    """

    fields: dict[str, str]
    facts: dict[str, str]
    text: str


def read(body: bytes) -> Request:
    """The request in these bytes. Raises BadRequest."""
    try:
        document = cast("object", json.loads(body))
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON.") from error
    request = _object(document)
    model, messages = request.get("model"), _objects(request.get("messages"))
    if not isinstance(model, str) or not messages:
        raise BadRequest("`model` and a list `messages` are required.")
    texts = [(str(message.get("role")), _text(message.get("content"))) for message in messages]
    return Request(
        model=model,
        seed=str(request.get("seed") or 0),
        stream=request.get("stream") is True,
        include_usage=_object(request.get("stream_options")).get("include_usage") is True,
        tools=frozenset(str(_object(tool.get("function")).get("name")) for tool in _objects(request.get("tools"))),
        system="\n\n".join(text for role, text in texts if role in {"system", "developer"}),
        user=next((text for role, text in texts if role == "user"), ""),
        calls=_calls(messages),
        turn=sum(role == "assistant" for role, _ in texts),
        words=sum(len(text.split()) for _, text in texts),
        digest=hashlib.sha256(body).hexdigest(),
    )


def report(text: str) -> Report:
    """The lines, facts and text of a user message; a value goes on until the next key, item or heading."""
    marked = OUTSIDE.search(text)
    own, body = (text[: marked.start()], marked[1]) if marked else (text, "")
    if not marked and text.startswith("# Task"):
        own, _, body = text.partition("\n\n")
    fields: dict[str, str] = {}
    key = ""
    for line in own.splitlines():
        pair = re.match(r"([a-z][a-z_ ]*):[ \t]*(.*)$", line)
        if pair:
            key = pair[1]
            fields.setdefault(key, pair[2].strip())
        elif line.startswith(("#", "-")):
            key = ""
        elif key and line.strip():
            fields[key] += f"\n{line.strip()}"
    facts = dict(re.findall(r"([\w.]+)=([^,\s]+)", fields.get("facts", "")))
    return Report(fields, facts, body.strip())


def _calls(messages: list[dict[str, object]]) -> tuple[Call, ...]:
    results = {str(m.get("tool_call_id")): _text(m.get("content")) for m in messages if m.get("role") == "tool"}
    calls: list[Call] = []
    for message in messages:
        for call in _objects(message.get("tool_calls")):
            function = _object(call.get("function"))
            arguments = _arguments(function.get("arguments"))
            if arguments is not None:
                calls.append(Call(str(function.get("name")), arguments, results.get(str(call.get("id")))))
    return tuple(calls)


def _arguments(value: object) -> dict[str, object] | None:
    """The arguments of a call, or None of one that was malformed: it counts as not made."""
    try:
        parsed = cast("object", json.loads(value)) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None
    return _object(parsed)


def _object(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _objects(value: object) -> list[dict[str, object]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, object]", item) for item in items if isinstance(item, dict)]


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in _objects(content))
