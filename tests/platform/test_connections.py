"""Connections: what no row of the owner allows is denied, in whatever way it is written."""

import itertools
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import date
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import portable
from pocketlet.db import pool
from pocketlet.platform import audit, connection_changes, connections, oauth, templates, vault
from pocketlet.platform.gateways import wire

_numbers = itertools.count(1)
URL = "https://api.example.com/v1"


def operations(*lines: str) -> tuple[connections.Operation, ...]:
    return tuple(connections.operation(line) for line in lines)


def having(*allowed: str, deny: tuple[str, ...] = ()) -> connections.Connection:
    """A connection that allows this, without a database."""
    return connections.Connection(
        1, "shop", "http", URL, connections.Auth(), {}, operations(*allowed), operations(*deny), (), 1, 1.0, None, "",
        None, date(2026, 12, 22), off=False,
    )  # fmt: skip


SHOP = having("GET /orders/{id}", "GET /orders", "POST /orders/{id}/notes", "GET /files/{name}.json", "GET /list/")


@pytest.mark.parametrize(
    ("method", "path", "line"),
    [
        ("GET", "/orders", "GET /orders"),
        ("GET", "/orders/17", "GET /orders/{id}"),
        ("GET", "/orders/A-17%20b", "GET /orders/{id}"),
        ("GET", "/%6Frders/17", "GET /orders/{id}"),
        ("GET", "/orders/a@b.c:d,e", "GET /orders/{id}"),
        ("POST", "/orders/17/notes", "POST /orders/{id}/notes"),
        ("GET", "/files/a.b.json", "GET /files/{name}.json"),
        ("GET", "/list/", "GET /list/"),
    ],
)
def test_what_is_allowed_matches(method: str, path: str, line: str) -> None:
    found = connections.matching(SHOP, method, path)
    assert found is not None
    assert found.line == line


#: T12: ways to reach a neighbour of what is allowed.
ATTACKS = [
    "/", "", "orders/17", "/orders/", "/orders//", "//orders/17", "/orders//17", "/orders/17/", "/Orders/17",
    "/orders/17/notes", "/orders/17/../../users", "/orders/..", "/orders/.", "/orders/%2e%2e", "/orders/%2E.",
    "/orders/.%2e", "/orders/..%2f..%2fusers", "/orders/17%2fnotes", "/orders/17%2Fnotes", "/orders/17%5cnotes",
    "/orders/17\\notes", "/orders/%252e%252e", "/orders/17%252fnotes", "/orders/%25%32%66", "/orders/17;admin=1",
    "/orders/..;/users", "/orders/17%3badmin=1", "/orders/17?admin=1", "/orders/17%3fadmin=1", "/orders/17#x",
    "/orders/17%23x", "/orders/17%00", "/orders/17%0d%0aX:%20y", "/orders/17%0a", "/orders/%", "/orders/%2",
    "/orders/%zz", "/orders/%u002f", "/orders/%c0%af", "/orders/%c0%ae%c0%ae", "/orders/%ff", "/orders/é",
    "/orders/\uff0e\uff0e", "/orders/%ef%bc%8e%ef%bc%8e", "/orders/a%ef%bc%8fb", "/orders/%e2%80%ae17",
    "/orders/%e2%80%8b", "/orders/...", "/orders/%20", "/orders/..%20", "/orders/%09..", "/orders/17 ", " /orders/17",
    "/orders/{id}", "/orders/*", "https://evil.example/orders/17", "//evil.example/orders", "/orders@evil.example",
    "/orders/17/notes/1", "/files/.json", "/files/a", "/list", "/orders/" + "a" * 3000, "/orders/a%E2%80%A8b",
]  # fmt: skip


@pytest.mark.parametrize("path", ATTACKS)
def test_a_path_that_is_not_allowed_matches_nothing(path: str) -> None:
    if path == "/orders/*":
        assert connections.values(SHOP.allow[0], path) == {"id": "*"}, "a value is only a value"
        return
    assert connections.matching(SHOP, "GET", path) is None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", "GET ", ""])
def test_another_method_matches_nothing(method: str) -> None:
    assert connections.matching(SHOP, method, "/orders/17") is None


def test_the_narrowest_template_counts_and_a_known_denial_wins() -> None:
    shop = having("POST /orders/{id}", "POST /orders/draft", deny=("POST /orders/purge", "POST /orders/{id}:cancel"))
    drafted = connections.matching(shop, "POST", "/orders/draft")
    assert drafted is not None
    assert drafted.path == "/orders/draft"
    assert connections.matching(shop, "POST", "/orders/17")
    for path in ("/orders/purge", "/orders/PURGE", "/orders/%70urge", "/orders/17:cancel", "/orders/17%3Acancel"):
        assert connections.matching(shop, "POST", path) is None, path


NAMES = st.text(min_size=1, max_size=30)
PLAIN = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_~", min_size=1, max_size=12)


@given(NAMES)
def test_a_value_that_is_encoded_comes_back_whole_or_is_refused(value: str) -> None:
    path = f"/orders/{quote(value, safe='')}"
    found = templates.values("/orders/{id}", path)
    assert found is None or found == {"id": value}
    if value.isalnum() and value.isascii():
        assert found


@given(st.lists(PLAIN, min_size=1, max_size=5), st.lists(PLAIN, min_size=1, max_size=5), st.data())
def test_a_template_stands_for_as_many_segments_as_it_has(
    literal: list[str], segments: list[str], data: st.DataObject
) -> None:
    holes = data.draw(st.sets(st.integers(0, len(literal) - 1)))
    template = "/" + "/".join(f"{{p{at}}}" if at in holes else text for at, text in enumerate(literal))
    fits = len(segments) == len(literal) and all(at in holes or segments[at] == text for at, text in enumerate(literal))
    found = templates.values(template, "/" + "/".join(segments))
    assert (found is not None) is fits
    if found is not None:
        assert found == {f"p{at}": segments[at] for at in holes}


@given(st.text("abz019%2Ff5cCeE./\\;?#{}: \u2025\uff0f\n", max_size=24))
def test_whatever_matches_is_read_in_one_way(tail: str) -> None:
    path = f"/orders/{tail}"
    found = connections.matching(SHOP, "GET", path)
    if found is None or found.path != "/orders/{id}":
        return
    value = connections.values(found, path)["id"]
    assert value.strip(". ")
    assert not set(value) & set("/\\;?#")
    assert templates.values("/orders/{id}", f"/orders/{quote(value, safe='')}") == {"id": value}
    assert templates.ENCODED.search(value) is None


@pytest.mark.parametrize(
    "line",
    [
        "GET", "GET orders", "get /orders", "CONNECT /x", "GET /a/../b", "GET /a//b", "GET /{id", "GET /{}",
        "GET /{a b}", "GET /{a}{b}", "GET /{id}/{id}", "GET /a?b=c", "GET /a;b", "GET /%2e%2e/a", "GET /{+path}",
        "GET /a%2fb", "",
    ],
)  # fmt: skip
def test_what_is_no_template_is_not_allowed(line: str) -> None:
    with pytest.raises(errors.BadInput):
        connections.operation(line)


def test_classes_have_careful_defaults() -> None:
    assert connections.operation("GET /a").effect == "read"
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        made = connections.operation(f"{method} /a")
        assert (made.effect, made.harm) == ("unsafe", "irreversible")
    keyed = connections.operation("POST /a", "keyed", harm="money")
    assert (keyed.key_header, keyed.harm) == ("Idempotency-Key", "money")
    assert connections.operation("POST /search", "read").harm == "read"
    for wrong in (("read", "money"), ("unsafe", "read"), ("sure", ""), ("unsafe", "some")):
        with pytest.raises(errors.BadInput):
            connections.operation("POST /a", wrong[0], harm=wrong[1])
    with pytest.raises(errors.BadInput, match="key header"):
        connections.operation("POST /a", "unsafe", key_header="Idempotency-Key")


GOOD = connections.Draft(
    "shop",
    URL,
    connections.Auth("bearer", (connections.Place("bearer", "SHOP_TOKEN"),)),
    {"x-version": "2022-06-28"},
    operations("GET /orders/{id}"),
)
TOKEN = connections.Place("bearer", "A")
BAD: list[dict[str, object]] = [
    {"name": "Shop"},
    {"name": "../x"},
    {"base_url": "http://api.example.com"},
    {"base_url": "https://api.example.com:8443"},
    {"base_url": "https://api.example.com/v1?x=1"},
    {"base_url": "https://user:pass@api.example.com"},
    {"base_url": "https://localhost"},
    {"base_url": "file:///etc/passwd"},
    {"pinned": ("everywhere",)},
    {"headers": {"Authorization": "x"}},
    {"headers": {"Host": "evil"}},
    {"headers": {"X-A": "b\r\nc"}},
    {"headers": {"X A": "b"}},
    {"headers": {"X-A": "b", "x-a": "c"}},
    {"notes": "x" * 9000},
    {"auth": connections.Auth("bearer")},
    {"auth": connections.Auth("none", (TOKEN,))},
    {"auth": connections.Auth("magic")},
    {"auth": connections.Auth("oauth2-client")},
    {"auth": connections.Auth("bearer", (connections.Place("bearer", "no name"),))},
    {"auth": connections.Auth("header", (connections.Place("header", "A", "Host"),))},
    {"auth": connections.Auth("header", (connections.Place("header", "A", "X-K", "a\r\nb"),))},
    {"auth": connections.Auth("query", (connections.Place("query", "A"),))},
    {"auth": connections.Auth("bearer", (TOKEN, connections.Place("basic", "B")))},
    {"auth": connections.Auth("oauth2-client", (), oauth.Client("https://t.example.com/t", ""))},
    {"allow": operations("GET /a", "GET /a")},
    {"allow": (connections.Operation("GET", "/../a"),)},
]


@pytest.mark.parametrize("change", BAD, ids=str)
def test_a_draft_that_can_not_become_a_row(change: dict[str, object]) -> None:
    with pytest.raises(errors.BadInput):
        connection_changes.checked(replace(GOOD, **change))  # type: ignore[arg-type]


def test_a_server_of_ones_own_is_pinned() -> None:
    draft = replace(GOOD, base_url="http://127.0.0.1:8080/api/", pinned=("127.0.0.1",))
    assert connection_changes.checked(draft).base_url == "http://127.0.0.1:8080/api"
    assert connection_changes.checked(replace(GOOD, base_url="https://api.example.com:443/")).base_url == URL[:-3]


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    return vault.key(tmp_path / "home")


@pytest.fixture
async def agent(db: pool.Database, tmp_path: Path) -> AsyncGenerator[agents.Agent]:
    name = f"caller{next(_numbers)}"
    (tmp_path / "agent.toml").write_text(f'name = "{name}"\njob = "Call."\nmodel = "openai:none"\n')
    yield await portable.load(db, tmp_path)
    await portable.remove(db, name)


@pytest.fixture
async def made(db: pool.Database, key: bytes) -> AsyncGenerator[connections.Connection]:
    """The shop's connection, committed."""
    async with db.api() as conn:
        found = await connection_changes.add(conn, key, replace(GOOD, secrets={"SHOP_TOKEN": "sk-1-shop"}, per_day=2))
    yield found
    async with db.api() as conn:
        if "shop" in {found.name for found, _ in await connections.everything(conn)}:
            await connection_changes.remove(conn, "shop")
        if "SHOP_TOKEN" in await vault.names(conn):
            await vault.remove(conn, "SHOP_TOKEN")


async def test_a_row_holds_no_value_and_comes_back_as_it_was(
    db: pool.Database, made: connections.Connection, key: bytes
) -> None:
    async with db.api() as conn:
        assert await connections.get(conn, "shop") == made
        text = str(await (await conn.execute("SELECT c::text FROM pocketlet.connection c")).fetchall())
        assert "sk-1-shop" not in text + repr(made) + repr(replace(GOOD, secrets={"SHOP_TOKEN": "sk-1-shop"}))
        assert "SHOP_TOKEN" in text
        await connection_changes.add(conn, key, replace(GOOD, name="sh-op"))
        for name in ("shop", "sh_op"):
            with pytest.raises(errors.Conflict):
                await connection_changes.add(conn, key, replace(GOOD, name=name))
        await connection_changes.remove(conn, "sh-op")
        with pytest.raises(errors.NotFound):
            await connections.get(conn, "sh-op")


async def test_without_a_grant_an_agent_has_nothing(
    db: pool.Database, made: connections.Connection, key: bytes, agent: agents.Agent
) -> None:
    async with db.api() as conn:
        assert await connections.of_agent(conn, agent.id) == []
        with pytest.raises(errors.Refused, match="may not use"):
            await connections.credentials(conn, key, made, agent.id)
        assert await connection_changes.grant(conn, "shop", agent.name) == []
        assert await connections.of_agent(conn, agent.id) == [made]
        placed, scrub = await connections.credentials(conn, key, made, agent.id)
        assert placed == [wire.Secret(value="sk-1-shop", header="Authorization", prefix="Bearer ")]
        assert scrub == ["sk-1-shop"]
        await connection_changes.switch(conn, "shop", off=True)
        assert await connections.of_agent(conn, agent.id) == []
        with pytest.raises(errors.Refused, match="switched"):
            await connections.credentials(conn, key, made, agent.id)
        await connection_changes.switch(conn, "shop", off=False)
        await connection_changes.revoke(conn, "shop", agent.name)
        with pytest.raises(errors.Refused, match="may not use"):
            await connections.credentials(conn, key, made, agent.id)
        with pytest.raises(errors.Refused, match="not granted"):
            await vault.open_for(conn, key, agent.id, ["SHOP_TOKEN"])
        await connection_changes.remove(conn, "shop")
        with pytest.raises(errors.Refused, match="removed"):
            await connections.credentials(conn, key, made, None)
        assert "SHOP_TOKEN" in await vault.names(conn), "a secret that the owner named is the owner's"


async def test_a_secret_that_two_connections_need_stays_granted(
    db: pool.Database, made: connections.Connection, key: bytes, agent: agents.Agent
) -> None:
    async with db.api() as conn:
        await connection_changes.add(conn, key, replace(GOOD, name="other"))
        for name in ("shop", "other"):
            await connection_changes.grant(conn, name, agent.name)
        await connection_changes.revoke(conn, "other", agent.name)
        assert await vault.open_for(conn, key, agent.id, ["SHOP_TOKEN"])
        await connection_changes.remove(conn, "other")
        assert await connections.of_agent(conn, agent.id) == [made]


async def test_a_secret_that_is_missing_is_named(
    db: pool.Database, made: connections.Connection, key: bytes, agent: agents.Agent
) -> None:
    async with db.api() as conn:
        await vault.remove(conn, "SHOP_TOKEN")
        assert await connection_changes.grant(conn, "shop", agent.name) == ["SHOP_TOKEN"]
        for who in (agent.id, None):
            with pytest.raises(errors.Refused, match="SHOP_TOKEN") as caught:
                await connections.credentials(conn, key, made, who)
            assert "pocketlet secret set" in caught.value.hint


async def test_places_of_secrets(db: pool.Database, key: bytes) -> None:
    places = (
        connections.Place("basic", "LOGIN"),
        connections.Place("header", "KEY", "X-Api-Key", "Key "),
        connections.Place("query", "KEY", "api_key"),
    )
    secrets = {"LOGIN": "us:pässword", "KEY": "k-1-of-shop"}
    draft = replace(GOOD, name="places", auth=connections.Auth("basic", places), secrets=secrets)
    async with db.api() as conn:
        made = await connection_changes.add(conn, key, draft)
        placed, scrub = await connections.credentials(conn, key, made, None)
        assert [(one.header, one.prefix, one.query) for one in placed] == [
            ("Authorization", "Basic ", ""),
            ("X-Api-Key", "Key ", ""),
            ("", "", "api_key"),
        ]
        assert set(scrub) == {"us:pässword", "pässword", "k-1-of-shop"}
        assert not await connections.rejected(conn, key, made, placed)
        assert connections.reserved(made) == {"api_key"}
        await connection_changes.remove(conn, "places")
        for name in secrets:
            await vault.remove(conn, name)


async def test_operations_are_allowed_and_taken_back(db: pool.Database, made: connections.Connection) -> None:
    async with db.api() as conn:
        await connection_changes.allow(conn, "shop", connections.operation("POST /orders/{id}"))
        await connection_changes.allow(conn, "shop", connections.operation("POST /orders/{id}", "keyed"))
        found = await connection_changes.allow(conn, "shop", connections.operation("POST /orders/purge"))
        assert [one.effect for one in found.allow] == ["read", "keyed", "unsafe"]
        assert connections.matching(found, "POST", "/orders/purge")
        found = await connection_changes.disallow(conn, "shop", "POST /orders/purge")
        assert connections.matching(found, "POST", "/orders/purge") is None, "the wider template lets it not through"
        assert connections.matching(found, "POST", "/orders/17")
        found = await connection_changes.allow(conn, "shop", connections.operation("POST /orders/purge"))
        assert connections.matching(found, "POST", "/orders/purge")
        with pytest.raises(errors.NotFound):
            await connection_changes.disallow(conn, "shop", "DELETE /orders")
        await connection_changes.note(conn, found, "Pages begin at 1.")
        assert (await connections.get(conn, "shop")).notes == "Pages begin at 1."


async def test_calls_of_a_day_are_counted(db: pool.Database, made: connections.Connection) -> None:
    async with db.api() as conn:
        await connections.take(conn, made)
        await connections.take(conn, made)
        with pytest.raises(errors.Refused, match="2 times a day"):
            await connections.take(conn, made)
        await conn.execute("UPDATE pocketlet.connection SET per_day = 0")
        await conn.execute("DELETE FROM pocketlet.connection_use")
        with pytest.raises(errors.Refused):
            await connections.take(conn, made)
        await conn.execute("UPDATE pocketlet.connection SET per_day = NULL")
        for _ in range(5):
            await connections.take(conn, made)


async def test_each_change_is_in_the_audit_trail(
    db: pool.Database, made: connections.Connection, agent: agents.Agent
) -> None:
    async with db.api() as conn:
        await connection_changes.allow(conn, "shop", connections.operation("POST /orders"))
        await connection_changes.disallow(conn, "shop", "POST /orders")
        await connection_changes.grant(conn, "shop", agent.name)
        await connection_changes.revoke(conn, "shop", agent.name)
        await connection_changes.switch(conn, "shop", off=True)
        await connection_changes.switch(conn, "shop", off=False)
        await connection_changes.note(conn, made, "x")
        await connection_changes.remove(conn, "shop")
        rows = await audit.listing(conn, limit=100)
    said = [row["action"] for row in rows if row["subject"] == "shop" and row["action"].startswith("connection.")]
    verbs = ("add", "allow", "disallow", "grant", "revoke", "off", "on", "note", "remove")
    assert said[: len(verbs)] == [f"connection.{verb}" for verb in reversed(verbs)]
    assert "sk-1-shop" not in str(rows)


async def test_agents_can_not_touch_the_tables(db: pool.Database, app: str) -> None:
    tables = ("connection", "connection_grant", "connection_token", "connection_use")
    for role in (app, f"{app}_ro", f"{app}_mgr", f"{app}_try", f"{app}_bnd"):
        for table in tables:
            for text in (f"SELECT * FROM pocketlet.{table}", f"DELETE FROM pocketlet.{table}"):
                with pytest.raises(pool.DatabaseError, match="permission denied"):
                    async with db.login(role) as conn:
                        await conn.execute(text.encode())
