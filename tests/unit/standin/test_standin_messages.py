"""The stand-in model on Anthropic's wire: the same answers in another shape."""

import dataclasses
import json
from typing import Any

import anthropic
import httpx
import openai
import pytest
import standin_play as play

from pocketlet.platform.gateways import endpoints, models

LESSON = "- [lesson 3] late: Never promise a delivery date."


@pytest.mark.parametrize("model", ["standin", "standin/obey=0.5", "standin/gullible=1", "standin/malformed=0.5"])
async def test_both_wires_give_the_same_calls(
    client: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic, model: str
) -> None:
    for seed in range(5):
        options: dict[str, Any] = {"model": model, "seed": seed}
        there = await play.run(client, play.prompt(LESSON), play.world(), **options)
        assert await play.run_anthropic(claude, play.prompt(LESSON), play.world(), **options) == there
        assert there[-1][0] == "finish"


def request(**changes: Any) -> dict[str, Any]:
    system, task = (message["content"] for message in play.prompt(LESSON))
    tools = [play.anthropic_tool(tool["function"]) for tool in play.WORKER_TOOLS]
    messages = [{"role": "user", "content": task}]
    return {"model": "standin", "max_tokens": 9, "system": system, "messages": messages, "tools": tools} | changes


def post(url: str, body: dict[str, Any], **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/messages", json=body, headers=headers, timeout=10)


def known(message: anthropic.types.Message) -> dict[str, Any]:
    """All but the ids, which are made of the whole request, and what the client adds to a stream."""
    return message.model_dump(exclude={"id": True, "content": {"__all__": {"id", "parsed_output"}}})


async def test_a_stream_says_the_same_as_a_whole_answer(claude: anthropic.AsyncAnthropic) -> None:
    for body in (request(), request(tools=[])):
        whole = await claude.messages.create(**body)
        async with claude.messages.stream(**body) as stream:
            last = await stream.get_final_message()
        assert known(last) == known(whole)
        assert whole.usage.input_tokens > 50
        assert whole.stop_reason == ("tool_use" if body["tools"] else "end_turn")
    assert "I am a stand-in model" in whole.model_dump()["content"][0]["text"]


def test_equal_bytes_get_equal_bytes_from_another_process_too(url: str) -> None:
    process, other = play.start()
    try:
        for body in (request(), request(stream=True), request(model="standin/slip=0.5", metadata={"user_id": "8"})):
            assert len({(reply.content, str(reply.headers)) for reply in (post(url, body), post(other, body))}) == 1
    finally:
        play.stop(process)


def test_the_events_of_a_stream_come_in_their_sequence(url: str) -> None:
    answer = post(url, request(stream=True))
    lines = [line for line in answer.text.splitlines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines[1::2]]
    assert [line.removeprefix("event: ") for line in lines[::2]] == [event["type"] for event in events]
    assert list(dict.fromkeys(event["type"] for event in events)) == [
        "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
        "message_stop",
    ]  # fmt: skip
    assert events[2]["delta"]["type"] == "input_json_delta"


def test_system_texts_may_be_blocks_and_the_seed_is_in_the_metadata(url: str) -> None:
    blocks = [{"type": "text", "text": text} for text in request()["system"].split("\n\n")]
    content = [{"type": "text", "text": request()["messages"][0]["content"]}]
    same = request(system=blocks, messages=[{"role": "user", "content": content}])
    answers = [post(url, body).json() for body in (request(), same)]
    assert answers[0]["content"][0]["input"] == answers[1]["content"][0]["input"] == {"name": "reply-to-customer"}
    assert answers[0]["usage"] == answers[1]["usage"]

    def said(seed: int) -> dict[str, Any]:
        return post(url, request(model="standin/slip=0.5", metadata={"user_id": str(seed)})).json()

    assert len({answer["id"] for answer in map(said, range(20))}) == 1
    assert {answer["content"][0]["name"] for answer in map(said, range(20))} == {"finish", "skill"}


def test_errors_have_a_type_and_a_status(url: str) -> None:
    for body, status, kind in (
        (request(max_tokens=0), 400, "invalid_request_error"),
        (request(messages=[]), 400, "invalid_request_error"),
        (request(model="standin/flip=0.6"), 404, "not_found_error"),
    ):
        answer = post(url, body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)
    theirs = {"anthropic-version": "2023-06-01"}
    assert httpx.get(f"{url}/models", headers=theirs).json()["data"][0]["type"] == "model"
    assert httpx.get(f"{url}/none", headers=theirs).json()["error"]["type"] == "not_found_error"


async def test_a_key_keeps_others_out() -> None:
    process, url = play.start("--key", "right")
    try:
        base = url.removesuffix("/v1")
        async with anthropic.AsyncAnthropic(base_url=base, api_key="wrong", max_retries=0) as client:
            with pytest.raises(anthropic.AuthenticationError):
                await client.models.list()
        async with anthropic.AsyncAnthropic(base_url=base, api_key="right", max_retries=0) as client:
            assert [model.id async for model in client.models.list()] == ["standin"]
    finally:
        play.stop(process)


@pytest.mark.parametrize("model", ["standin", "standin/malformed=0.5"])
async def test_the_gateway_speaks_to_both_alike(url: str, model: str) -> None:
    bases = {"OPENAI_BASE_URL": url, "ANTHROPIC_BASE_URL": url.removesuffix("/v1")}
    gateway = models.Gateway(timeout=30)
    try:
        for seed in range(3):
            there, here = [
                await conversation(gateway, endpoints.resolve(f"{name}:{model}", bases.get), seed)
                for name in ("openai", "anthropic")
            ]
            assert there == here
            assert [name for name, _ in there if name != "broken"] == ["skill", "sql", "sql", "send_mail", "finish"]
    finally:
        await gateway.aclose()


async def conversation(
    gateway: models.Gateway, endpoint: endpoints.Endpoint, seed: int
) -> list[tuple[str, dict[str, object] | None]]:
    """All calls of a run through the gateway, those that were no JSON as `broken`."""
    names = [tool["function"]["name"] for tool in play.WORKER_TOOLS]
    tools = tuple(models.Tool(name, name, {"type": "object", "properties": {}}) for name in names)
    system, user = (message["content"] for message in play.prompt(LESSON))
    asked = models.Request(system, user, (), tools, max_tokens=500, seed=seed)
    calls: list[tuple[str, dict[str, object] | None]] = []
    while not calls or calls[-1][0] != "finish":
        reply = await gateway.complete(endpoint, asked)
        assert reply.usage.input > 50
        [call] = reply.calls
        calls.append((call.name if call.args is not None else "broken", call.args))
        text = play.world()(call.name, call.args) if call.args is not None else "error: that is no JSON"
        turn = models.Turn(reply.message, (models.ToolResult(call.id, call.name, text),))
        asked = dataclasses.replace(asked, turns=(*asked.turns, turn))
        assert len(calls) < 40
    return calls
