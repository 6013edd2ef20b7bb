"""Looks at a service: what is new there is a slot an item, read with the agent's own rights and nothing more."""

import dataclasses
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import workshop as workshops
from answering import Answering, Reply, answering
from looked import bodies, look, slots_of, told, trigger_of

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import connection_changes, connections, vault

Opener = Callable[..., Awaitable[workshops.Workshop]]
SOON = timedelta(seconds=301)
TOKEN = "tok-5a1Zq-secret"
READS = connections.operation("GET /tickets")
TICKETS = [{"id": n, "title": f"T{n}", "updated_at": f"2026-11-22T0{n}:00:00Z"} for n in range(1, 6)]


@pytest.fixture
async def server() -> AsyncGenerator[Answering]:
    async with answering() as found:
        yield found


def entry(name: str, more: str = 'items = "data.tickets"\nkey = "id"\n') -> str:
    return f'[triggers.tickets]\npoll = "{name} GET /tickets"\ntask = "Answer it."\n{more}'


async def connected(
    open_shop: Opener, server: Answering, more: str | None = None, *operations: connections.Operation
) -> workshops.Workshop:
    """An agent that polls, over a connection of its own with a token."""
    name = f"c{server.port}"
    shop = await open_shop(entry(name, more) if more is not None else entry(name))
    secret = f"{connections.prefix(name)}TOKEN"
    auth = connections.Auth("bearer", (connections.Place("bearer", secret),))
    allow = operations or (READS,)
    draft = connections.Draft(
        name, server.url, auth, allow=allow, pinned=("127.0.0.1",), seconds=5.0, secrets={secret: TOKEN}
    )
    async with shop.database.api() as conn:
        await connection_changes.add(conn, vault.key(shop.engine.home), draft)
        await connection_changes.grant(conn, name, shop.name)
    return shop


def says(server: Answering, tickets: list[Any]) -> None:
    server.says(json.dumps({"data": {"tickets": tickets}}).encode())


async def numbers(shop: workshops.Workshop) -> list[int]:
    return [body["id"] for body in await bodies(shop)]


async def test_what_is_new_is_a_slot_an_item_with_the_credential_of_the_connection(
    open_shop: Opener, server: Answering, turned: Any
) -> None:
    shop = await connected(open_shop, server)
    says(server, TICKETS[:2])
    await look(shop)
    assert await slots_of(shop) == []
    says(server, [TICKETS[0] | {"title": TOKEN}, *TICKETS[2:4]])
    for _ in range(2):
        await turned.turn(SOON)
        await look(shop)
    assert await numbers(shop) == [3, 4]
    assert {headers["authorization"] for _, headers in server.asked} == {f"Bearer {TOKEN}"}
    [slot, _] = await slots_of(shop)
    assert (slot["about"]["label"], slot["state"]) == ("outside", "due")
    kept = await shop.rows("SELECT cursor::text, spec::text FROM pocketlet.trigger WHERE agent_id = %s", shop.agent.id)
    assert TOKEN not in str(kept)
    reads = "SELECT subject, details FROM pocketlet.audit WHERE action = 'trigger.read' AND agent_id = %s"
    written = await shop.rows(reads, shop.agent.id)
    assert (len(written), "GET /tickets" in written[0]["subject"]) == (3, True)


async def test_the_cursor_is_the_greatest_value_that_came_and_is_asked_for(
    open_shop: Opener, server: Answering, turned: Any
) -> None:
    def answer(target: str, headers: Mapping[str, str]) -> Reply:
        since = parse_qs(urlsplit(target).query).get("since", [""])[0]
        found = [ticket for ticket in reversed(TICKETS) if str(ticket["updated_at"]) > since][-2:]
        return Reply(json.dumps(found).encode())

    server.answer = answer
    more = 'key = "id"\ncursor = "updated_at"\nfrom_start = true\nquery = {since = "{cursor}", limit = 2}\n'
    shop = await connected(open_shop, server, more)
    for _ in range(4):
        assert await look(shop) == 1
        await turned.turn(SOON)
    assert sorted(await numbers(shop)) == [1, 2, 3, 4, 5]
    asked = [parse_qs(urlsplit(target).query) for target, _ in server.asked]
    assert asked[0] == {"limit": ["2"]}
    assert [one.get("since") for one in asked[1:]] == [[str(TICKETS[n]["updated_at"])] for n in (1, 3, 4)]


@pytest.mark.parametrize(
    ("values", "at"), [([3, 10, 9], 10), (["b", "a"], "b"), ([1, "a"], "a"), ([None, {}], None), (["x\n", "a"], "a")]
)
async def test_a_cursor_is_a_number_or_a_text(open_shop: Opener, server: Answering, values: Any, at: Any) -> None:
    server.says(json.dumps([{"n": value} for value in values]).encode())
    shop = await connected(open_shop, server, 'cursor = "n"\nquery = {since = "{cursor}"}\n')
    await look(shop)
    assert (await trigger_of(shop))["cursor"].get("at") == at


async def test_items_without_a_key_are_new_if_they_differ(open_shop: Opener, server: Answering, turned: Any) -> None:
    shop = await connected(open_shop, server, "from_start = true\n")
    for body in (b'["a", {"b": 1}]', b'["a", {"b": 2}, 7]'):
        server.says(body)
        await look(shop)
        await turned.turn(SOON)
    assert await bodies(shop) == ["a", {"b": 1}, {"b": 2}, 7]


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [(b"no", 200, "no JSON"), (b"{}", 200, "no list at data.tickets"), (b'{"data": []}', 200, "no list"),
     (b"[" * 100_000, 200, "no JSON"), (b"", 500, "HTTP 500"), (b"", 302, "HTTP 302"),
     (b" " * 1_100_000, 200, "larger"), (json.dumps({"data": {"tickets": [0] * 1001}}).encode(), 200, "1001 items")],
)  # fmt: skip
async def test_what_is_not_understood_is_one_notice(
    open_shop: Opener, server: Answering, turned: Any, body: bytes, status: int, why: str
) -> None:
    shop = await connected(open_shop, server)
    server.says(body, status)
    for _ in range(2):
        await look(shop)
        await turned.turn(timedelta(hours=1))
    [notice] = await told(shop)
    assert (why in notice["title"], notice["count"], await slots_of(shop)) == (True, 2, [])
    says(server, [])
    await look(shop)
    assert await told(shop) == []


async def test_what_the_owner_does_not_allow_is_not_asked(open_shop: Opener, server: Answering, turned: Any) -> None:
    other = connections.operation("GET /tickets/{id}")
    unsafe = connections.operation("GET /tickets", "unsafe")
    shop = await connected(open_shop, server, None, other)
    name = f"c{server.port}"
    await look(shop)
    async with shop.database.api() as conn:
        await conn.execute(b"UPDATE pocketlet.connection SET allow = %s", [_allow(unsafe)])
    await turned.turn(timedelta(hours=1))
    await look(shop)
    async with shop.database.api() as conn:
        await conn.execute(b"UPDATE pocketlet.connection SET allow = %s", [_allow(READS)])
        await connection_changes.revoke(conn, name, shop.name)
    await turned.turn(timedelta(hours=1))
    await look(shop)
    [notice] = await told(shop)
    assert (notice["count"], server.asked) == (3, [])
    async with shop.database.api() as conn:
        await connection_changes.grant(conn, name, shop.name)
    says(server, [])
    await turned.turn(timedelta(hours=2))
    await look(shop)
    assert (len(server.asked), await told(shop)) == (1, [])


def _allow(operation: connections.Operation) -> Any:
    return pool.jsonb([dataclasses.asdict(operation)])


@pytest.mark.parametrize(
    ("lines", "why"),
    [('poll = "shop POST /tickets"', "reads"), ('poll = "https://n.example/x"', "reads"),
     ('poll = "shop GET /x"\nquery = {since = "{cursor}"}', "cursor ="),
     ('poll = "shop GET /x"\nquery = {a = []}', "query"),
     ('poll = "shop GET /x"\nitems = "a..b"', "items"), ('poll = "shop GET /x"\nevery = "5 s"', "at least")],
)  # fmt: skip
async def test_an_entry_that_can_not_be_meant_is_not_imported(open_shop: Opener, lines: str, why: str) -> None:
    with pytest.raises(errors.BadAgent, match=f"trigger `tickets`: .*{why}"):
        await open_shop(f"[triggers.tickets]\n{lines}\n")
