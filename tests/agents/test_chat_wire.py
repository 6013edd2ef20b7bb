"""The same talk over the OpenAI and the Anthropic wire: the files in `wire/` are what each provider would answer.

They are written after the providers' documented formats, with the fields that real answers have and Pocketlet does not
ask for; a server on loopback replays them and keeps what it was asked.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from workshop import Workshop, fresh_name

from pocketlet.agents import agent as agents
from pocketlet.agents import portable, revisions
from pocketlet.learning import cards, chat

WIRE = Path(__file__).parent / "wire"
SENTENCE = "Answer my shop's mail from what we already know. Never promise a delivery date."
MODELS = {"openai": "gpt-5-mini", "anthropic": "claude-sonnet-5"}


class Replay:
    """Answers with a provider's files in their order."""

    def __init__(self, provider: str) -> None:
        self.answers = [path.read_bytes() for path in sorted((WIRE / provider).glob("*.json"))]
        self.paths: list[str] = []
        self.heads: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Replay"]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield self
        listener.close()
        await listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.lower().split("\r\n")
            length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
            self.bodies.append(json.loads(await reader.readexactly(length)))
            self.paths.append(head.split(" ")[1])
            self.heads.append(head.lower())
            data = self.answers[len(self.bodies) - 1]
            answer = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n"
            writer.write(answer.encode() + b"connection: close\r\n\r\n" + data)
            await writer.drain()
        writer.close()

    def said(self, turn: int) -> dict[str, Any]:
        """An answer, as it was sent."""
        return json.loads(self.answers[turn])


async def talked(shop: Workshop, provider: str, replay: Replay) -> tuple[dict[str, str], dict[str, Any]]:
    """The talk, on a new agent that is removed again: the files of its draft, and what the run left."""
    name = fresh_name()
    variables = {"OPENAI_BASE_URL": f"{replay.url}/v1", "ANTHROPIC_BASE_URL": replay.url}
    variables |= {"OPENAI_API_KEY": "sk-test", "ANTHROPIC_API_KEY": "sk-ant-test"}
    shop.think(lookup=variables.get)
    run = await chat.say(shop.database, name, SENTENCE, model=f"{provider}:{MODELS[provider]}")
    try:
        await shop.advance(run)
        async with shop.database.api() as conn:
            card = await cards.of_run(conn, run)
            assert card, await shop.ending(run)
            draft = await revisions.load(conn, await agents.get(conn, name), card.revision)
        left = await shop.ending(run) | {"errors": [step.error for step in await shop.steps(run)], "state": card.state}
        tokens = "sum(input_tokens)::int AS input, sum(output_tokens)::int AS output, sum(cached_tokens)::int AS cached"
        left["tokens"] = await shop.row(f"SELECT {tokens} FROM pocketlet.ledger WHERE run_id = %s", run)
        files = {path: text.replace(name, "NAME") for path, text in draft.files().items()}
        return {path: _lasting(text) for path, text in files.items()} | {"tables": draft.tables}, left
    finally:
        await portable.remove(shop.database, name)


def _lasting(text: str) -> str:
    """Without the model and the time, in which two drafts differ."""
    return "\n".join(line for line in text.splitlines() if not line.startswith(("model = ", "since: ")))


async def test_the_openai_wire(shop: Workshop) -> None:
    async with Replay("openai").listening() as replay:
        _, left = await talked(shop, "openai", replay)
    assert left["result"] == replay.said(2)["choices"][0]["message"]["content"]
    assert left["tokens"] == {"input": 2318 + 2794 + 3391, "output": 412 + 655 + 58, "cached": 2176 + 2688}
    assert replay.paths == ["/v1/chat/completions"] * 3
    assert "authorization: bearer sk-test" in replay.heads[0]
    first, second, third = (body["messages"] for body in replay.bodies)
    assert [message["role"] for message in third] == [*("system", "user"), *("assistant", "tool", "tool") * 2]
    assert "state: empty" in first[0]["content"]
    assert first[1] == {"role": "user", "content": f"# Message\n{SENTENCE}"}
    assert (second[: len(first)], third[: len(second)]) == (first, second)
    for said, sent in ((0, third[2:5]), (1, third[5:8])):
        asked = replay.said(said)["choices"][0]["message"]["tool_calls"]
        assert [call["id"] for call in sent[0]["tool_calls"]] == [call["id"] for call in asked]
        assert [call["function"]["name"] for call in sent[0]["tool_calls"]] == [
            call["function"]["name"] for call in asked
        ]
        assert [result["tool_call_id"] for result in sent[1:]] == [call["id"] for call in asked]
    assert third[3]["content"].startswith("runs\n")
    assert third[4]["content"].startswith("error: agent.toml: no tool is called shell")
    assert third[6]["content"].startswith("Proposed.")


async def test_the_anthropic_wire(shop: Workshop) -> None:
    async with Replay("anthropic").listening() as replay:
        _, left = await talked(shop, "anthropic", replay)
    assert left["result"] == replay.said(2)["content"][0]["text"]
    assert left["tokens"] == {"input": 2541 + 3462 + 4139, "output": 498 + 702 + 61, "cached": 2541 + 3444}
    assert replay.paths == ["/v1/messages"] * 3
    assert "sk-ant-test" in replay.heads[0]
    body = replay.bodies[2]
    assert "state: empty" in body["system"][0]["text"]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert f"# Message\n{SENTENCE}" in json.dumps(body["messages"][0], ensure_ascii=False).replace("\\n", "\n")
    for said, (reply, results) in enumerate((body["messages"][1:3], body["messages"][3:5])):
        asked = replay.said(said)["content"]
        assert reply["content"] == asked, "thinking goes back with its signature, and nothing is lost"
        uses = [block["id"] for block in asked if block["type"] == "tool_use"]
        assert [block["type"] for block in results["content"]] == ["tool_result"] * 2
        assert [block["tool_use_id"] for block in results["content"]] == uses
    assert "no tool is called shell" in json.dumps(body["messages"][2]["content"][1])


async def test_both_wires_lead_to_the_same_draft(shop: Workshop) -> None:
    found: list[tuple[dict[str, str], dict[str, Any]]] = []
    for provider in MODELS:
        async with Replay(provider).listening() as replay:
            found.append(await talked(shop, provider, replay))
    (files, left), (other_files, other_left) = found
    assert files == other_files
    assert set(files) > {
        "lessons/delivery-dates.md",
        "skills/answer-mail/SKILL.md",
        "schema/0001_create_complaints.sql",
    }
    for key in ("result", "errors", "state"):
        assert left[key] == other_left[key]


@pytest.mark.parametrize("provider", MODELS)
def test_the_files_have_what_real_answers_have(provider: str) -> None:
    answers = [json.loads(path.read_bytes()) for path in sorted((WIRE / provider).glob("*.json"))]
    assert len({answer["id"] for answer in answers}) == len(answers) == 3
    assert all(answer["usage"] for answer in answers)
