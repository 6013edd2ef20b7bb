"""Requests as outside actions: only what the owner granted, with credentials that no run sees, byte for byte."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from scripted_model import Reply, calls, finishes
from service import Service, serving
from workshop import Workshop, mail

from pocketlet.agents import approving
from pocketlet.db import pool
from pocketlet.platform import connection_changes, connections, vault

TOKEN = "tok-4f8Qx1-secret"
MORE = 'tools = ["sql", "skill", "send_mail", "http"]'


@pytest.fixture
async def service() -> AsyncGenerator[Service]:
    async with serving() as found:
        yield found


async def connected(shop: Workshop, service: Service, *operations: connections.Operation, **more: Any) -> str:
    """A connection of the agent's own, with a token; its name."""
    name = f"{shop.name}-shop"
    key = vault.key(shop.engine.home)
    secret = f"{connections.prefix(name)}TOKEN"
    auth = connections.Auth("bearer", (connections.Place("bearer", secret),))
    draft = connections.Draft(
        name, service.url, auth, allow=operations, pinned=("127.0.0.1",), seconds=5.0, secrets={secret: TOKEN}, **more
    )
    async with shop.database.api() as conn:
        await connection_changes.add(conn, key, draft)
        await connection_changes.grant(conn, name, shop.name)
    return name


def asks(name: str, method: str, path: str, **more: Any) -> Reply:
    """A model that calls the service."""
    return calls(("http", {"connection": name, "method": method, "path": path, **more}))


async def acted(shop: Workshop, reply: Reply, raw: bytes | None = None) -> tuple[int, str]:
    """A run that makes one call; its number and state."""
    shop.says(reply, finishes())
    run = await shop.run(raw or b"Look at order 7.")
    return run, (await shop.ending(run))["state"]


async def told(shop: Workshop, run: int) -> str:
    """What the run was told of its call."""
    (step,) = [step for step in await shop.steps(run) if step.tool == "http"]
    return step.error or step.response


GET = connections.operation("GET /orders/{id}")
POST = connections.operation("POST /orders")
KEYED = connections.operation("POST /orders", "keyed")
PUT = connections.operation("PUT /orders/{id}", "idempotent", harm="external")


async def test_a_read_that_is_granted_needs_no_word_and_shows_no_secret(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, GET)
    run, state = await acted(shop, asks(name, "GET", "/orders/7"))
    assert state == "done"
    assert service.requests[0][2]["authorization"] == f"Bearer {TOKEN}"
    said = await told(shop, run)
    assert said.startswith("HTTP 200\ncontent-type: application/json\n\n{")
    assert json.loads(said.partition("\n\n")[2])["seen"] == "Bearer [secret]"
    assert TOKEN not in json.dumps(shop.model.requests[shop.name])
    assert (await shop.ending(run))["label"] == "outside"  # what a service says is outside text


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/orders/7/notes"), ("POST", "/orders"), ("GET", "/orders/../admin"), ("GET", "/orders/a%2fb")],
)
async def test_what_is_not_granted_is_denied_and_nothing_leaves(
    open_shop, service: Service, method: str, path: str
) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, GET)
    run, state = await acted(shop, asks(name, method, path))
    assert state == "done"
    assert "no-grant" in await told(shop, run)
    assert (await shop.effect(run))["state"] == "blocked"
    assert service.requests == []


async def test_another_agents_connection_is_as_good_as_none(open_shop, service: Service) -> None:
    shop, other = await open_shop(MORE), await open_shop(MORE)
    theirs, _ = await connected(other, service, GET), await connected(shop, service, GET)
    run, _ = await acted(shop, asks(theirs, "GET", "/orders/7"))
    assert await told(shop, run) == f'connection of http must be one of {shop.name}-shop, not "{theirs}"'
    assert service.requests == []


async def test_a_run_may_not_choose_the_account(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, GET)
    place = connections.Place("query", f"{connections.prefix(name)}TOKEN", "api_key")
    auth = connections.document(connections.Draft(name, service.url, connections.Auth("query", (place,))))["auth"]
    await shop.change("UPDATE pocketlet.connection SET auth = %s WHERE name = %s", pool.jsonb(auth), name)
    run, _ = await acted(shop, asks(name, "GET", "/orders/7", query={"api_key": "another"}))
    assert (await told(shop, run)).startswith("The wire adds api_key itself: leave it out.")
    assert service.requests == []


async def test_what_was_disallowed_meanwhile_is_not_sent(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, POST)
    run, _ = await acted(shop, asks(name, "POST", "/orders", body={"a": 1}))
    async with shop.database.api() as conn:
        await connection_changes.disallow(conn, name, "POST /orders")
    assert await shop.answer(run) == "done"
    assert "no longer allows" in await told(shop, run)
    assert service.requests == []


async def test_a_run_that_read_a_mail_may_not_carry_its_words_out_unasked(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, connections.operation("GET /orders"))
    run, state = await acted(shop, asks(name, "GET", "/orders", query={"q": "her-secret-diagnosis"}), mail())
    assert state == "waiting"
    question = await shop.question(run)
    assert (question["class"], question["tool"]) == ("read", "http")
    assert service.requests == []
    assert await shop.answer(run) == "done"
    assert [request[1] for request in service.requests] == ["/orders?q=her-secret-diagnosis"]


async def test_what_changes_something_is_asked_and_sent_as_it_was_shown(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, POST)
    run, state = await acted(shop, asks(name, "POST", "/orders", body={"b": 1, "a": "x"}))
    assert state == "waiting"
    question = await shop.question(run)
    assert json.loads(bytes(question["message"]))["body"] == '{"a":"x","b":1}'
    assert await shop.answer(run) == "done"
    assert [request[3] for request in service.requests] == [b'{"a":"x","b":1}']
    effect = await shop.effect(run)
    assert (effect["state"], effect["class"]) == ("succeeded", "unsafe")


async def test_a_run_that_read_a_mail_may_ask_for_what_the_owner_granted(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, POST)
    run, state = await acted(shop, asks(name, "POST", "/orders", body={"a": 1}), mail())
    assert (state, (await shop.effect(run))["rule"]) == ("waiting", "http-asks")
    linked, state = await acted(shop, asks(name, "POST", "/orders", body={"a": "see evil.example/x"}), mail(number=2))
    assert (state, (await shop.effect(linked))["rule"]) == ("waiting", "foreign-link")


async def test_one_byte_that_changed_after_the_yes_is_not_sent(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, POST)
    run, _ = await acted(shop, asks(name, "POST", "/orders", body={"amount": 10}))
    async with shop.database.api() as conn:
        await approving.decide(conn, (await shop.question(run))["approval"], yes=True)
    forged = "convert_to(replace(convert_from(message, 'UTF8'), '10', '90'), 'UTF8')"
    await shop.change(f"UPDATE pocketlet.effect SET message = {forged} WHERE run_id = %s", run)
    assert await shop.advance(run) == "failed"
    assert (await shop.ending(run))["error"] == "It is not what was approved. Nothing was sent."
    assert service.requests == []


BROKEN = [
    (PUT, "drop before", 1, "done"),
    (PUT, "drop after", 1, "done"),
    (KEYED, "drop before", 1, "done"),
    (KEYED, "drop after", 1, "done"),
    (POST, "drop before", 0, "waiting"),
    (POST, "drop after", 1, "waiting"),
]


@pytest.mark.parametrize(("operation", "fault", "done", "state"), BROKEN)
async def test_after_a_break_only_what_may_be_done_twice_is(
    open_shop, service: Service, operation: connections.Operation, fault: str, done: int, state: str
) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, operation)
    asked = operation is not PUT  # that can be taken back, so nobody is asked
    service.faults += [] if asked else [fault]
    run, now = await acted(shop, asks(name, operation.method, operation.path.replace("{id}", "7"), body={"a": 1}))
    if asked:
        service.faults.append(fault)
        now = await shop.answer(run)
    assert (now, sum(service.done.values())) == (state, done)
    if state == "waiting":
        assert (await shop.question(run))["question"] == "send-again"
        assert (await shop.effect(run))["state"] == "unknown"


async def test_a_service_that_is_down_is_told_and_surely_did_nothing(open_shop, service: Service) -> None:
    shop = await open_shop(MORE)
    name = await connected(shop, service, POST)
    run, _ = await acted(shop, asks(name, "POST", "/orders", body={"a": 1}))
    await shop.change("UPDATE pocketlet.connection SET base_url = 'http://127.0.0.1:9' WHERE name = %s", name)
    assert await shop.answer(run) == "done"
    assert (await told(shop, run)).startswith("failed: ")
    assert (await shop.effect(run))["state"] == "failed"


async def test_in_a_dry_run_nothing_leaves(open_shop, service: Service) -> None:
    shop = await open_shop(f"{MORE}\ndry_run = true")
    name = await connected(shop, service, POST)
    run, state = await acted(shop, asks(name, "POST", "/orders", body={"a": 1}))
    assert state == "done"
    assert (await shop.effect(run))["state"] == "captured"
    assert service.requests == []
