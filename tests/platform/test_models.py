"""Model calls over real HTTP on loopback: what goes over each provider's wire, what failures become."""

import asyncio
import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pocketlet import errors
from pocketlet.platform.gateways import endpoints, models, wire_format

KEY = "sk-very-secret-0123456789"
SCHEMA = {"type": "object", "properties": {"sql": {"type": "string"}}, "required": ["sql"]}
TOOLS = (models.Tool("query", "Read tables.", SCHEMA), models.Tool("finish", "Give the result.", SCHEMA))
REQUEST = models.Request("Be exact.", "Do the job: é", (), TOOLS, max_tokens=321, seed=7)


class Server:
    """Answers with `replies` in turn and keeps what it was sent; without a reply it never answers."""

    def __init__(self) -> None:
        self.replies: list[bytes] = []
        self.paths: list[str] = []
        self.headers: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.closing = asyncio.Event()
        self.url = ""

    def answer(self, body: object, status: int = 200, header: str = "x-none: 0") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = (f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(data)}")
        head = "\r\n".join((*lines, "connection: close", header, "", ""))
        self.replies.append(head.encode() + data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await self._exchange(reader, writer)
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        self.paths.append(head.split(" ")[1])
        self.headers.append(head)
        self.bodies.append(json.loads(await reader.readexactly(length)))
        if not self.replies:
            await self.closing.wait()
            return
        writer.write(self.replies.pop(0))
        await writer.drain()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    listener = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield served
    served.closing.set()
    listener.close()
    await listener.wait_closed()


@pytest.fixture
async def gateway() -> AsyncIterator[models.Gateway]:
    opened = models.Gateway(timeout=30)
    yield opened
    await opened.aclose()


def openai(server: Server) -> endpoints.Endpoint:
    variables = {"OPENAI_BASE_URL": f"{server.url}/v1", "OPENAI_API_KEY": KEY}
    return endpoints.resolve("openai:gpt-5-mini", variables.get)


def anthropic(server: Server) -> endpoints.Endpoint:
    variables = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": KEY}
    return endpoints.resolve("anthropic:claude-sonnet-5", variables.get)


def google(server: Server) -> endpoints.Endpoint:
    variables = {"GOOGLE_GEMINI_BASE_URL": server.url, "GEMINI_API_KEY": KEY}
    return endpoints.resolve("google:gemini-2.5-flash", variables.get)


def chat(*calls: tuple[str, str, str], text: str | None = None) -> dict[str, Any]:
    written = [wire_call(*call) for call in calls]
    message = {"role": "assistant", "content": text, "tool_calls": written}
    choice = {"index": 0, "finish_reason": "tool_calls" if calls else "stop", "message": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-5-mini-2025",
    }
    return {**head, "choices": [choice], "usage": {**usage, "total_tokens": 120}}


def wire_call(id_: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def claude(*blocks: dict[str, Any]) -> dict[str, Any]:
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5-x"}
    usage = {"input_tokens": 40, "cache_read_input_tokens": 60, "output_tokens": 20}
    return {**head, "stop_reason": "tool_use", "content": list(blocks), "usage": usage}


def after(reply: models.Reply, *contents: str, note: str = "") -> models.Request:
    results = tuple(
        models.ToolResult(call.id, call.name, content) for call, content in zip(reply.calls, contents, strict=True)
    )
    stored = json.loads(json.dumps(reply.message))
    return dataclasses.replace(REQUEST, turns=(models.Turn(stored, results, note),))


async def test_the_openai_wire_carries_a_conversation(server: Server, gateway: models.Gateway) -> None:
    server.answer(chat(("c1", "query", '{"sql": "select 1"}'), ("c2", "query", '{"sql": "select 2"}'), text="Looking."))
    server.answer(chat(text="Done."))
    first = await gateway.complete(openai(server), REQUEST)
    second = await gateway.complete(openai(server), after(first, "one row", "no rows", note="Keep to the point."))

    assert first.text == "Looking."
    assert first.calls[1] == models.ToolCall("c2", "query", {"sql": "select 2"}, '{"sql": "select 2"}')
    assert first.usage == models.Usage(input=100, output=20, cached=60)
    assert (first.model, first.finish) == ("gpt-5-mini-2025", "tool_call")
    assert (second.text, second.finish) == ("Done.", "stop")
    assert server.paths == ["/v1/chat/completions"] * 2
    assert f"Bearer {KEY}" in server.headers[0]
    opening = [{"role": "system", "content": "Be exact."}, {"role": "user", "content": "Do the job: é"}]
    sent = server.bodies[0]
    assert sent["messages"] == opening
    assert (sent["model"], sent["max_completion_tokens"], sent["seed"]) == ("gpt-5-mini", 321, 7)
    assert sent["tools"][0] == {
        "type": "function",
        "function": {"name": "query", "description": "Read tables.", "parameters": SCHEMA},
    }
    assert server.bodies[1]["messages"] == [
        *opening,
        {
            "role": "assistant",
            "content": "Looking.",
            "tool_calls": [
                wire_call("c1", "query", '{"sql":"select 1"}'),
                wire_call("c2", "query", '{"sql":"select 2"}'),
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one row"},
        {"role": "tool", "tool_call_id": "c2", "content": "no rows"},
        {"role": "user", "content": "Keep to the point."},
    ]


async def test_messages_passed_around_the_sdk_arrive_as_through_it(server: Server, gateway: models.Gateway) -> None:
    import openai as sdk
    from pydantic_ai import direct
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    server.answer(chat(("c1", "query", '{"sql": "x"}')))
    request = after(await gateway.complete(openai(server), REQUEST), "one row", note="Go on.")
    server.answer(chat(text="a"))
    server.answer(chat(text="b"))
    await gateway.complete(openai(server), request)
    async with sdk.AsyncOpenAI(base_url=server.url + "/v1", api_key=KEY) as client:
        await direct.model_request(
            OpenAIChatModel("gpt-5-mini", provider=OpenAIProvider(openai_client=client)),
            wire_format.messages(request),
            model_settings=wire_format.settings(request, openai(server), 30),
            model_request_parameters=wire_format.parameters(request),
        )
    assert server.bodies[1] == server.bodies[2]


async def test_the_anthropic_wire_carries_the_same_conversation(server: Server, gateway: models.Gateway) -> None:
    call = {"type": "tool_use", "id": "t1", "name": "query", "input": {"sql": "select 1"}}
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"}
    server.answer(claude(thinking, {"type": "text", "text": "Looking."}, call))
    server.answer(claude({"type": "text", "text": "Done."}))
    first = await gateway.complete(anthropic(server), REQUEST)
    await gateway.complete(anthropic(server), after(first, "one row", note="Keep to the point."))

    assert first.calls == (models.ToolCall("t1", "query", {"sql": "select 1"}, '{"sql": "select 1"}'),)
    assert first.usage == models.Usage(input=100, output=20, cached=60)
    assert server.paths == ["/v1/messages"] * 2
    assert KEY in server.headers[0]
    sent = server.bodies[1]
    assert (sent["max_tokens"], "seed" in sent) == (321, False)
    assert [block["text"] for block in sent["system"]] == ["Be exact."]
    assert sent["tools"][0] == {"name": "query", "description": "Read tables.", "input_schema": SCHEMA}
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][1]["content"] == [thinking, {"type": "text", "text": "Looking."}, call]
    result, note = sent["messages"][2]["content"]
    assert (result["type"], result["tool_use_id"]) == ("tool_result", "t1")
    assert "one row" in json.dumps(result)
    assert note["text"] == "Keep to the point."


@pytest.mark.parametrize(("seed", "metadata"), [(7, {"user_id": "7"}), (0, None)])
async def test_anthropic_is_told_the_seed_as_metadata(
    server: Server, gateway: models.Gateway, seed: int, metadata: dict[str, str] | None
) -> None:
    server.answer(claude({"type": "text", "text": "Done."}))
    await gateway.complete(anthropic(server), dataclasses.replace(REQUEST, seed=seed))
    assert server.bodies[0].get("metadata") == metadata


async def test_the_google_wire_carries_the_same_conversation(server: Server, gateway: models.Gateway) -> None:
    pytest.importorskip("google.genai")
    call = {"functionCall": {"id": "f1", "name": "query", "args": {"sql": "x"}}, "thoughtSignature": "c2ln"}
    usage = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 15,
        "totalTokenCount": 120,
    }
    answer = {"content": {"role": "model", "parts": [call]}, "finishReason": "STOP"}
    for _ in range(2):
        server.answer({"candidates": [answer], "usageMetadata": usage, "modelVersion": "gemini-x"})
    first = await gateway.complete(google(server), REQUEST)
    await gateway.complete(google(server), after(first, "one row"))

    assert first.calls == (models.ToolCall("f1", "query", {"sql": "x"}, '{"sql": "x"}'),)
    assert first.usage == models.Usage(input=100, output=20, cached=0)
    assert server.paths == ["/v1beta/models/gemini-2.5-flash:generateContent"] * 2
    sent = server.bodies[1]
    assert (sent["generationConfig"]["maxOutputTokens"], sent["generationConfig"]["seed"]) == (321, 7)
    assert sent["contents"][1]["parts"] == [call]
    assert sent["contents"][2]["parts"][0]["functionResponse"]["id"] == "f1"


async def test_ollama_needs_no_key_and_keeps_its_limit(server: Server, gateway: models.Gateway) -> None:
    server.answer(chat(text="Hello."))
    reply = await gateway.complete(endpoints.resolve("ollama:qwen3:8b", {"OLLAMA_BASE_URL": server.url}.get), REQUEST)
    assert reply.text == "Hello."
    assert server.paths == ["/v1/chat/completions"]
    assert (server.bodies[0]["model"], server.bodies[0]["max_tokens"]) == ("qwen3:8b", 321)


@pytest.mark.parametrize("written", ['{"sql": "sel', "[1]", "null", '{"a": NaN}', "[" * 100_000])
async def test_arguments_that_are_no_object_are_kept_and_sent_back(
    server: Server, gateway: models.Gateway, written: str
) -> None:
    server.answer(chat(("c1", "query", written)))
    server.answer(chat(text="Sorry."))
    first = await gateway.complete(openai(server), REQUEST)
    assert first.calls == (models.ToolCall("c1", "query", None, written),)
    await gateway.complete(openai(server), after(first, "Your arguments were not a JSON object."))
    sent_back = server.bodies[1]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert isinstance(json.loads(sent_back), dict)


async def test_anthropic_arguments_of_another_shape_are_kept_too(server: Server, gateway: models.Gateway) -> None:
    server.answer(claude({"type": "tool_use", "id": "t1", "name": "query", "input": [1]}))
    server.answer(claude({"type": "text", "text": "Sorry."}))
    first = await gateway.complete(anthropic(server), REQUEST)
    assert first.calls == (models.ToolCall("t1", "query", None, "[1]"),)
    await gateway.complete(anthropic(server), after(first, "Your arguments were not a JSON object."))
    assert isinstance(server.bodies[1]["messages"][1]["content"][0]["input"], dict)


async def test_a_missing_package_is_named(
    server: Server, gateway: models.Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.models.google", None)
    with pytest.raises(errors.BadSetting) as raised:
        await gateway.complete(google(server), REQUEST)
    assert raised.value.hint == "pip install 'pocketlet[google]'"


async def test_a_call_without_arguments_has_none(server: Server, gateway: models.Gateway) -> None:
    server.answer(chat(("c1", "finish", "")))
    assert (await gateway.complete(openai(server), REQUEST)).calls[0].args == {}


STATUSES = [
    (400, errors.NoModel, "refused the request (HTTP 400): tools: too many"),
    (401, errors.NoModel, "The key for"),
    (402, errors.NoModel, "no credit"),
    (404, errors.NoModel, "has no model"),
    (429, errors.ModelBusy, "is busy (HTTP 429)"),
    (500, errors.ModelBusy, "is busy (HTTP 500)"),
    (529, errors.ModelBusy, "is busy (HTTP 529)"),
]


@pytest.mark.parametrize("wire", [openai, anthropic, google])
@pytest.mark.parametrize(("status", "kind", "words"), STATUSES)
async def test_refusals(
    server: Server, gateway: models.Gateway, wire: Any, status: int, kind: type[errors.NoModel], words: str
) -> None:
    server.answer({"error": {"message": f"tools: too many {KEY} " + "x" * 500}}, status, "Retry-After: 17")
    with pytest.raises(errors.PocketletError) as raised:
        await gateway.complete(wire(server), REQUEST)
    assert type(raised.value) is kind
    assert words in str(raised.value)
    assert len(str(raised.value)) < 420
    assert_hidden(raised.value)
    assert len(server.bodies) == 1, "one attempt only"
    if isinstance(raised.value, errors.ModelBusy):
        assert raised.value.retry_after == 17


async def test_a_used_up_quota_is_not_worth_another_try(server: Server, gateway: models.Gateway) -> None:
    server.answer({"error": {"message": "You ran out.", "code": "insufficient_quota"}}, 429)
    with pytest.raises(errors.NoModel, match="no credit or quota left: You ran out") as raised:
        await gateway.complete(openai(server), REQUEST)
    assert not isinstance(raised.value, errors.ModelBusy)


GARBAGE = [b"<html>It works!</html>", b"", b"[]", b"{}", b"null", b'"sk"']
GARBAGE += [b'{"choices": []}', b'{"choices": [{}]}', b'{"content": [{}]}', b'{"candidates": [{}]}']


@pytest.mark.parametrize("wire", [openai, anthropic, google])
@pytest.mark.parametrize("body", GARBAGE)
async def test_garbage_is_a_bad_reply(server: Server, gateway: models.Gateway, wire: Any, body: bytes) -> None:
    server.answer(body)
    with pytest.raises(errors.BadModelReply) as raised:
        await gateway.complete(wire(server), REQUEST)
    assert_hidden(raised.value)


@pytest.mark.parametrize("wire", [openai, anthropic, google])
async def test_silence_ends_with_the_timeout(server: Server, wire: Any) -> None:
    gateway = models.Gateway(timeout=0.05)
    with pytest.raises(errors.NoModel, match=r"at http://127\.0\.0\.1:\d+ did not answer within 0\.05 s") as raised:
        await gateway.complete(wire(server), REQUEST)
    await gateway.aclose()
    assert_hidden(raised.value)


@pytest.mark.parametrize("wire", [openai, anthropic, google])
async def test_nobody_listens(server: Server, gateway: models.Gateway, wire: Any) -> None:
    free = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = free.sockets[0].getsockname()[1]
    free.close()
    await free.wait_closed()
    endpoint = dataclasses.replace(wire(server), base_url=f"http://user:{KEY}@127.0.0.1:{port}/v1")
    with pytest.raises(errors.NoModel, match=rf"Can't reach .* at http://127\.0\.0\.1:{port}") as raised:
        await gateway.complete(endpoint, REQUEST)
    assert_hidden(raised.value)


async def test_proxy_variables_divert_nothing(
    server: Server, gateway: models.Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.answer(chat(text="Straight."))
    assert (await gateway.complete(openai(server), REQUEST)).text == "Straight."


async def test_the_same_request_is_the_same_bytes(server: Server, gateway: models.Gateway) -> None:
    server.answer(chat(("c1", "query", '{"sql": "x"}')))
    server.answer(chat(("c1", "query", '{"sql": "x"}')))
    replies = [await gateway.complete(openai(server), REQUEST) for _ in range(2)]
    assert replies[0].message == replies[1].message
    assert len({models.canonical(after(reply, "é"), "openai:gpt-5-mini") for reply in replies}) == 1


def test_only_what_the_model_sees_makes_a_difference() -> None:
    def canonical(**changes: Any) -> bytes:
        return models.canonical(dataclasses.replace(REQUEST, **changes), "openai:gpt-5-mini")

    other_order = models.Tool("query", "Read tables.", dict(reversed(SCHEMA.items())))
    assert canonical(tools=(other_order, TOOLS[1])) == canonical(seed=8) == canonical()
    assert len({canonical(), canonical(max_tokens=1), canonical(tools=TOOLS[:1]), canonical(user="x")}) == 4
    assert "é".encode() in canonical()


def test_importing_the_gateway_is_light() -> None:
    heavy = "{'pydantic_ai', 'openai', 'anthropic', 'httpx2'}"
    code = f"import sys, pocketlet.platform.gateways.models; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def assert_hidden(error: BaseException) -> None:
    """The key is in no text that a person or a log could see."""
    assert KEY not in str(error)
    assert KEY not in repr(error)
    assert KEY not in getattr(error, "hint", "")
    assert error.__cause__ is None
    assert error.__suppress_context__
