"""OpenAI's wire: chat completion requests, and answers to them, whole or as the chunks of a stream."""

import json
from collections.abc import Iterator

from . import answer as answers
from . import document, family, prompt

PATH = "/v1/chat/completions"


def read(body: bytes) -> prompt.Request:
    """The request in these bytes. Raises document.BadRequest."""
    request = document.load(body)
    messages = document.mappings(request.get("messages"))
    texts = [(str(message.get("role")), document.text(message.get("content"))) for message in messages]
    functions = [document.mapping(tool.get("function")) for tool in document.mappings(request.get("tools"))]
    tools = [function.get("name") for function in functions]
    return prompt.assemble(request, request.get("seed"), tools, texts, _calls(messages))


def whole(request: prompt.Request, given: answers.Answer) -> dict[str, object]:
    """The answer as one `chat.completion` object."""
    message: dict[str, object] = {"role": "assistant", "content": None, "refusal": None}
    if isinstance(given, answers.Say):
        message["content"] = given.text
    else:
        message["tool_calls"] = [_tool_call(request, given)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(given)}
    return {**_frame(request, "chat.completion"), "choices": [choice], "usage": _usage(request, given)}


def stream(request: prompt.Request, given: answers.Answer) -> Iterator[str]:
    """The answer as server-sent events; the last chunk holds the usage if the request asks for it."""
    return (f"data: {event}\n\n" for event in (*map(json.dumps, _chunks(request, given)), "[DONE]"))


def failure(status: int, message: str, code: str | None) -> dict[str, object]:
    """An error, whatever its status."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def models() -> dict[str, object]:
    """The list of models."""
    model = {"id": family.NAME, "object": "model", "created": 0, "owned_by": family.NAME}
    return {"object": "list", "data": [model]}


def _calls(messages: list[dict[str, object]]) -> list[prompt.Call]:
    results = {str(m.get("tool_call_id")): document.text(m.get("content")) for m in messages if m.get("role") == "tool"}
    calls: list[prompt.Call] = []
    for message in messages:
        for call in document.mappings(message.get("tool_calls")):
            function = document.mapping(call.get("function"))
            arguments = document.arguments(function.get("arguments"))
            if arguments is not None:
                calls.append(prompt.Call(str(function.get("name")), arguments, results.get(str(call.get("id")))))
    return calls


def _chunks(request: prompt.Request, given: answers.Answer) -> Iterator[dict[str, object]]:
    yield _chunk(request, {"role": "assistant", "content": "" if isinstance(given, answers.Say) else None})
    if isinstance(given, answers.Say):
        for piece in answers.pieces(given.text):
            yield _chunk(request, {"content": piece})
    else:
        call = _tool_call(request, given)
        opening = {**call, "index": 0, "function": {"name": given.tool, "arguments": ""}}
        yield _chunk(request, {"tool_calls": [opening]})
        for piece in answers.pieces(given.written):
            yield _chunk(request, {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    yield _chunk(request, {}, reason=_reason(given))
    if request.include_usage:
        yield {**_frame(request, "chat.completion.chunk"), "choices": [], "usage": _usage(request, given)}


def _frame(request: prompt.Request, kind: str) -> dict[str, object]:
    return {"id": f"chatcmpl-{request.digest[:24]}", "object": kind, "created": 0, "model": request.model}


def _chunk(request: prompt.Request, delta: dict[str, object], *, reason: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return {**_frame(request, "chat.completion.chunk"), "choices": [choice]}


def _tool_call(request: prompt.Request, use: answers.Use) -> dict[str, object]:
    function = {"name": use.tool, "arguments": use.written}
    return {"id": f"call_{request.digest[24:48]}", "type": "function", "function": function}


def _reason(given: answers.Answer) -> str:
    return "stop" if isinstance(given, answers.Say) else "tool_calls"


def _usage(request: prompt.Request, given: answers.Answer) -> dict[str, int]:
    written = answers.words(given)
    return {
        "prompt_tokens": request.words,
        "completion_tokens": written,
        "total_tokens": request.words + written,
    }
