"""The stand-in's answers as chat completions: whole, or as the chunks of a stream."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from . import prompt


@dataclass(frozen=True, slots=True)
class Say:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """A tool call."""

    tool: str
    arguments: dict[str, object]
    malformed: bool = False


Answer = Say | Use


def completion(request: prompt.Request, answer: Answer) -> dict[str, object]:
    """The answer as one `chat.completion` object."""
    message: dict[str, object] = {"role": "assistant", "content": None, "refusal": None}
    if isinstance(answer, Say):
        message["content"] = answer.text
    else:
        message["tool_calls"] = [_tool_call(request, answer)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(answer)}
    return {**_frame(request, "chat.completion"), "choices": [choice], "usage": _usage(request, answer)}


def chunks(request: prompt.Request, answer: Answer) -> Iterator[dict[str, object]]:
    """The answer as `chat.completion.chunk` objects; the last holds the usage if the request asks for it."""
    yield _chunk(request, {"role": "assistant", "content": "" if isinstance(answer, Say) else None})
    if isinstance(answer, Say):
        for piece in _pieces(answer.text):
            yield _chunk(request, {"content": piece})
    else:
        call = _tool_call(request, answer)
        opening = {**call, "index": 0, "function": {"name": answer.tool, "arguments": ""}}
        yield _chunk(request, {"tool_calls": [opening]})
        for piece in _pieces(_arguments(answer)):
            yield _chunk(request, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield _chunk(request, {}, reason=_reason(answer))
    if request.include_usage:
        yield {**_frame(request, "chat.completion.chunk"), "choices": [], "usage": _usage(request, answer)}


def _frame(request: prompt.Request, kind: str) -> dict[str, object]:
    return {"id": f"chatcmpl-{request.digest[:24]}", "object": kind, "created": 0, "model": request.model}


def _chunk(request: prompt.Request, delta: dict[str, object], *, reason: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {**_frame(request, "chat.completion.chunk"), "choices": [choice]}


def _tool_call(request: prompt.Request, use: Use) -> dict[str, object]:
    function = {"name": use.tool, "arguments": _arguments(use)}
    return {"id": f"call_{request.digest[24:48]}", "type": "function", "function": function}


def _arguments(use: Use) -> str:
    text = json.dumps(use.arguments, ensure_ascii=False)
    return text[:-1] if use.malformed else text


def _reason(answer: Answer) -> str:
    return "stop" if isinstance(answer, Say) else "tool_calls"


def _usage(request: prompt.Request, answer: Answer) -> dict[str, int]:
    text = answer.text if isinstance(answer, Say) else f"{answer.tool} {_arguments(answer)}"
    written = len(text.split())
    return {
        "prompt_tokens": request.words,
        "completion_tokens": written,
        "total_tokens": request.words + written,
    }


def _pieces(text: str, size: int = 40) -> Iterator[str]:
    return (text[start : start + size] for start in range(0, len(text), size))
