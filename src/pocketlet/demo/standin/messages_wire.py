"""Anthropic's wire: requests for a message, and answers to them, whole or as the events of a stream."""

import json
from collections.abc import Iterator

from . import answer as answers
from . import document, family, prompt

PATH = "/v1/messages"
TYPES = {401: "authentication_error", 404: "not_found_error", 413: "request_too_large"}

Json = dict[str, object]


def read(body: bytes) -> prompt.Request:
    """The request in these bytes; its seed is `metadata.user_id`. Raises document.BadRequest."""
    request = document.load(body)
    messages = document.mappings(request.get("messages"))
    limit = request.get("max_tokens")
    if messages and (not isinstance(limit, int) or limit < 1):
        raise document.BadRequest("`max_tokens` is required: a whole number above 0.")
    system = document.text(request.get("system"), between="\n\n")
    texts = [("system", system)] if system and messages else []
    texts += [said for message in messages for said in _texts(message)]
    tools = [tool.get("name") for tool in document.mappings(request.get("tools"))]
    seed = document.mapping(request.get("metadata")).get("user_id")
    return prompt.assemble(request, seed, tools, texts, _calls(messages))


def whole(request: prompt.Request, given: answers.Answer) -> Json:
    """The answer as one `message` object. Arguments that are no JSON stand there as a text, not as an object."""
    block = _block(request, given)
    if isinstance(given, answers.Say):
        block["text"] = given.text
    else:
        block["input"] = given.written if given.malformed else given.arguments
    usage = {"input_tokens": request.words, "output_tokens": answers.words(given)}
    return {**_frame(request), "content": [block], "stop_reason": _reason(given), "usage": usage}


def stream(request: prompt.Request, given: answers.Answer) -> Iterator[str]:
    """The answer as server-sent events."""
    return (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in _events(request, given))


def failure(status: int, message: str, code: str | None) -> Json:
    """An error, of the type that goes with its status."""
    kind = TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}}


def models() -> Json:
    """The list of models."""
    born = "1970-01-01T00:00:00Z"
    model = {"type": "model", "id": family.NAME, "display_name": family.NAME, "created_at": born}
    return {"data": [model], "has_more": False, "first_id": family.NAME, "last_id": family.NAME}


def _texts(message: Json) -> Iterator[tuple[str, str]]:
    """The role and text of a message, after those of the results that it brings."""
    content = message.get("content")
    blocks = document.mappings(content)
    yield from (("tool", document.text(block.get("content"))) for block in blocks if block.get("type") == "tool_result")
    text, role = document.text(content), str(message.get("role"))
    if text or role != "user":
        yield role, text


def _calls(messages: list[Json]) -> list[prompt.Call]:
    blocks = [block for message in messages for block in document.mappings(message.get("content"))]
    results = {
        str(block.get("tool_use_id")): document.text(block.get("content"))
        for block in blocks
        if block.get("type") == "tool_result"
    }
    made = [(block, document.arguments(block.get("input"))) for block in blocks if block.get("type") == "tool_use"]
    return [
        prompt.Call(str(block.get("name")), arguments, results.get(str(block.get("id"))))
        for block, arguments in made
        if arguments is not None
    ]


def _events(request: prompt.Request, given: answers.Answer) -> Iterator[Json]:
    usage = {"input_tokens": request.words, "output_tokens": 0}
    yield {"type": "message_start", "message": {**_frame(request), "content": [], "stop_reason": None, "usage": usage}}
    yield {"type": "content_block_start", "index": 0, "content_block": _block(request, given)}
    text = given.text if isinstance(given, answers.Say) else given.written
    kind, key = ("text_delta", "text") if isinstance(given, answers.Say) else ("input_json_delta", "partial_json")
    for piece in answers.pieces(text):
        yield {"type": "content_block_delta", "index": 0, "delta": {"type": kind, key: piece}}
    yield {"type": "content_block_stop", "index": 0}
    delta = {"stop_reason": _reason(given), "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": answers.words(given)}}
    yield {"type": "message_stop"}


def _frame(request: prompt.Request) -> Json:
    name = f"msg_{request.digest[:24]}"
    return {"id": name, "type": "message", "role": "assistant", "model": request.model, "stop_sequence": None}


def _block(request: prompt.Request, given: answers.Answer) -> Json:
    if isinstance(given, answers.Say):
        return {"type": "text", "text": ""}
    return {"type": "tool_use", "id": f"toolu_{request.digest[24:48]}", "name": given.tool, "input": {}}


def _reason(given: answers.Answer) -> str:
    return "end_turn" if isinstance(given, answers.Say) else "tool_use"
