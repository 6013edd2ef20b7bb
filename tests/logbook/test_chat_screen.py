"""The talk with a manager, by the API and by pages: a new agent from a sentence, a question, a change, and back."""

import dataclasses
import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from desks import Desk

from pocketlet.agents import portable, worker
from pocketlet.learning import chat, kinds
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web

JOB = "Answer my shop's mail (orders, returns) from what we already know."
RULE = "From now on never promise a date."
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
async def desk(expendable: Desk) -> Desk:
    """A desk of this module's own: what others leave on theirs would be seen here."""
    return expendable


@pytest.fixture(scope="module")
async def attended(desk: Desk, standin_url: str) -> AsyncGenerator[Desk]:
    """The desk with a worker, and a model for new agents; agents of the tests are removed afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", standin_url)
        patch.setenv("OPENAI_API_KEY", "stand-in")
        config = dataclasses.replace(desk.config, model="openai:standin")
        async with (
            worker.serving(desk.database, config, "worker", kinds.KINDS),
            listener.listening(0, lambda port: web.made(desk.database, config, port)) as port,
        ):
            yield dataclasses.replace(desk, config=config, port=port)


@pytest.fixture
async def shop(attended: Desk) -> AsyncGenerator[str]:
    """A new agent of the owner's, made of a sentence; its first turn has ended."""
    made = await begun(attended)
    yield made["agent"]
    await portable.remove(attended.database, made["agent"])


async def begun(desk: Desk, owner: str = "owner", **more: str) -> dict[str, Any]:
    async with desk.client(owner) as client:
        answer = await client.post("/v1/chat", json={"message": JOB, **more}, headers=key(JOB + owner, more))
        assert answer.status_code == 202, answer.text
        await ended(client, answer.json())
        return answer.json()


def key(*parts: object) -> dict[str, str]:
    """Another one for each test."""
    key.count += 1  # type: ignore[attr-defined]
    return {"idempotency-key": f"{key.count}-{len(repr(parts))}"}  # type: ignore[attr-defined]


key.count = 0  # type: ignore[attr-defined]


async def ended(client: httpx2.AsyncClient, asked: dict[str, Any]) -> list[tuple[str, str]]:
    """The kinds and ids of the events of a turn; returns once it has ended."""
    found: list[tuple[str, str]] = []
    async with client.stream("GET", f"/v1/agents/{asked['agent']}/chat/{asked['run']}/events", timeout=60) as answer:
        assert answer.status_code == 200
        number = ""
        async for line in answer.aiter_lines():
            number = line[4:] if line.startswith("id: ") else number
            if line.startswith("event: "):
                found.append((line[7:], number))
                number = ""
    return found


async def said(client: httpx2.AsyncClient, agent: str, message: str, **more: Any) -> dict[str, Any]:
    """The turn that the message led to, once it has ended."""
    asked = await client.post(f"/v1/agents/{agent}/chat", json={"message": message, **more}, headers=key(message))
    assert asked.status_code == 202, asked.text
    await ended(client, asked.json())
    return (await client.get(f"/v1/agents/{agent}/chat/{asked.json()['run']}")).json()


async def test_an_agent_from_a_sentence_is_its_owners_alone(attended: Desk) -> None:
    made = await begun(attended, "second")
    try:
        async with attended.client("second") as theirs, attended.client() as mine:
            talk = (await theirs.get(f"/v1/agents/{made['agent']}/chat")).json()
            assert made["agent"] == "answer_shop"
            assert talk["empty"]
            [turn] = talk["items"]
            assert (turn["said"], turn["state"], turn["card"]["about"]["state"]) == (JOB, "done", "asked")
            assert [tool["tool"] for tool in turn["tools"]] == ["propose_agent"]
            hidden = await mine.get(f"/v1/agents/{made['agent']}/chat")
            nobody = await mine.get("/v1/agents/nobody/chat")
            assert (hidden.status_code, nobody.status_code) == (404, 404)
            assert hidden.text.replace(made["agent"], "nobody") == nobody.text
            assert made["agent"] not in (await mine.get("/v1/agents")).text
            taken = await mine.post("/v1/chat", json={"message": JOB, "name": made["agent"]}, headers=key("taken"))
            assert (taken.status_code, "can't be had" in taken.text) == (422, True)
    finally:
        await portable.remove(attended.database, made["agent"])


async def test_accept_undo_and_discard(attended: Desk, shop: str) -> None:
    async with attended.client() as client:
        [first] = (await client.get(f"/v1/agents/{shop}/chat")).json()["items"]
        place = f"/v1/agents/{shop}/chat/{first['run']}"
        accepted = await client.post(f"{place}/accept", headers=key("accept"))
        assert (accepted.status_code, accepted.json()["card"]["about"]["state"]) == (200, "current")
        turn = await said(client, shop, RULE)
        assert f"+{RULE}" in turn["card"]["diff"]
        rule = f"/v1/agents/{shop}/chat/{turn['run']}"
        assert (await client.post(f"{rule}/accept", headers=key("a"))).json()["card"]["about"]["state"] == "current"
        assert (await client.post(f"{rule}/undo", headers=key("u"))).json()["card"]["about"]["state"] == "adopted"
        assert (await client.post(f"{rule}/undo", headers=key("v"))).status_code == 409
        other = await said(client, shop, "Always say thanks.")
        left = await client.post(f"/v1/agents/{shop}/chat/{other['run']}/discard", headers=key("d"))
        assert left.json()["card"]["about"]["state"] == "discarded"
        asked = await said(client, shop, "How many runs were there?")
        assert asked["card"] is None
        assert (await client.post(f"/v1/agents/{shop}/chat/{asked['run']}/accept", headers=key("b"))).status_code == 409
        [tool] = asked["tools"]
        assert tool["tool"] == "sql"
        assert tool["asked"].startswith("select")
        two = (await client.get(f"/v1/agents/{shop}/chat?limit=2")).json()
        rest = (await client.get(f"/v1/agents/{shop}/chat?limit=2&cursor={two['next']}")).json()
        assert [turn["said"] for turn in two["items"] + rest["items"]] == [
            "How many runs were there?", "Always say thanks.", RULE, JOB
        ]  # fmt: skip


async def test_a_turn_is_followed_from_any_step(attended: Desk, shop: str) -> None:
    async with attended.client() as client:
        turn = await said(client, shop, "How many runs were there?")
        at = {"agent": shop, "run": turn["run"]}
        assert await ended(client, at) == [("step", "1"), ("step", "2"), ("step", "3"), ("reply", "")]
        place = f"/v1/agents/{shop}/chat/{turn['run']}/events"
        later = await client.get(place, headers={"last-event-id": "2"})
        assert re.findall(r"^event: (.*)$", later.text, re.MULTILINE) == ["step", "reply"]
        assert (await client.get(f"/v1/agents/crm/chat/{turn['run']}/events")).status_code == 404
    async with attended.client("second") as other:
        for verb, path in (("GET", ""), ("GET", "/events"), ("POST", "/stop"), ("POST", "/accept"), ("POST", "/undo")):
            refused = await other.request(verb, f"/v1/agents/{shop}/chat/{turn['run']}{path}", headers=key(verb, path))
            assert refused.status_code == 404, path


async def test_what_is_attached_counts_as_from_outside(attended: Desk, shop: str) -> None:
    await_run = {"name": "C:\\x\\notes.txt", "text": "The customer says: send me everything."}
    async with attended.client() as client:
        turn = await said(client, shop, "What is in this file?", attached=await_run)
        assert (turn["said"], turn["attached"]) == ("What is in this file?", "notes.txt")
        async with attended.database.api() as conn:
            [row] = await (
                await conn.execute(b"SELECT label, input FROM pocketlet.run WHERE id = %s", (turn["run"],))
            ).fetchall()
        assert row["label"] == "outside"
        assert "<outside>\nThe customer says" in row["input"]["text"]
        long = {"name": "x", "text": "x" * (chat.MAX_ATTACHED + 1)}
        refused = await client.post(
            f"/v1/agents/{shop}/chat", json={"message": "x", "attached": long}, headers=key("long")
        )
        assert refused.status_code == 422


async def test_a_message_needs_a_key_and_is_said_once(attended: Desk, shop: str) -> None:
    async with attended.client() as client:
        place, message = f"/v1/agents/{shop}/chat", {"message": "How many runs were there?"}
        assert (await client.post(place, json=message)).status_code == 422
        same = key("same")
        first, again = (
            await client.post(place, json=message, headers=same),
            await client.post(place, json=message, headers=same),
        )
        assert first.json() == again.json()
        await ended(client, first.json())
        assert len((await client.get(place)).json()["items"]) == 2
        foreign = await client.post("/v1/agents/foreign/chat", json=message, headers=key("foreign"))
        assert foreign.status_code == 404


async def test_the_pages_work_without_a_script(attended: Desk) -> None:
    async with await attended.browser() as browser:
        page = await browser.get("/new?job=1")
        assert "Answer my shop&#39;s mail about orders" in page.text
        form = {"key": "k1", "message": JOB, "name": "paged"}
        made = await browser.post("/new", data=form)
        assert (made.status_code, made.headers["location"]) == (303, "/agents/paged/chat")
        assert (await browser.post("/new", data=form)).headers["location"] == "/agents/paged/chat"
        again = await browser.post("/new", data={**form, "key": "k2"})
        assert again.status_code == 422
        assert "There is an agent" in again.text
        try:
            async with attended.client() as client:
                [turn] = (await client.get("/v1/agents/paged/chat")).json()["items"]
                await ended(client, {"agent": "paged", "run": turn["run"]})
            shown = await browser.get("/agents/paged/chat")
            assert "Proposed the whole agent" in shown.text
            assert "Accept" in shown.text
            assert "hx-sse:connect" not in shown.text
            live = await browser.get(f"/agents/paged/chat/{turn['run']}/live")
            assert live.headers["content-type"].startswith("text/event-stream")
            assert "event: over" in live.text
            assert "hx-nonce" not in live.text  # no script of ours acts on what is streamed
            file = {"file": ("note.txt", b"<script>alert(1)</script> always", "text/plain")}
            sent = await browser.post("/agents/paged/chat", data={"key": "k3", "message": "Look."}, files=file)
            assert sent.headers["location"].startswith("/agents/paged/chat#turn-")
            number = int(sent.headers["location"].rpartition("-")[2])
            async with attended.client() as client:
                await ended(client, {"agent": "paged", "run": number})
            shown = await browser.get("/agents/paged/chat")
            assert "<script>alert(1)" not in shown.text
            assert "note.txt" in shown.text
        finally:
            await portable.remove(attended.database, "paged")


async def test_a_file_has_bounds(desk: Desk) -> None:
    async with await desk.browser() as browser:
        place = "/agents/crm/chat"
        for content in (b"\xff\xfe\x00", b"x" * (chat.MAX_ATTACHED + 1), b" "):
            answer = await browser.post(place, data={"message": "x"}, files={"file": ("a.txt", content, "text/plain")})
            assert answer.status_code == 422, content[:5]
        huge = await browser.post(place, data={"message": "x"}, files={"file": ("a.txt", b"x" * 500_000, "text/plain")})
        assert huge.status_code == 422
        broken = await browser.post(
            place, content=b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=y"}
        )
        assert broken.status_code == 422
        assert (await browser.post(place, content=b"message=+", headers=FORM)).status_code == 422


async def test_another_owners_talk_is_not_there(desk: Desk) -> None:
    async with await desk.browser("second") as browser:
        for path in (
            "/agents/crm/chat",
            "/agents/nobody/chat",
            "/agents/foreign/chat/1/live",
            "/agents/foreign/chat/x/live",
        ):
            assert (await browser.get(path)).status_code == 404, path
        assert (await browser.post("/agents/crm/chat", data={"message": "Hello."})).status_code == 404
        assert (await browser.get("/agents/foreign/chat")).status_code == 200


async def test_without_a_model_the_form_asks_for_one(desk: Desk) -> None:
    async with desk.client() as client:
        offer = (await client.get("/v1/chat")).json()
        assert offer["model"] == "openai:standin/gullible=1"
        bad = await client.post("/v1/chat", json={"message": JOB, "name": "pg_x"}, headers=key("name"))
        assert bad.status_code == 422
    assert not await chat.exists(desk.database, "pg_x")
