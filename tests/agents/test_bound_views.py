"""The views of bound reads follow what the owner said: nothing refused, stopped or adopted alone shows more."""

import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from scripted_model import calls, finishes
from workshop import CUSTOMER, Workshop, mail, write_folder

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import correspondent, portable, revisions
from pocketlet.agents import playbook as playbooks
from pocketlet.db import reader
from pocketlet.learning import adoption
from pocketlet.platform import apps

Opener = Callable[..., Awaitable[Workshop]]
SECRET = "canary-of-bob"
TABLES = "CREATE TABLE customers (email text, name text);\nCREATE TABLE products (name text);\n"
WIDER = '[reads]\nopen = ["memories", "results", "runs", "feedback"]\n'
TOO_LONG = "INSERT INTO customers SELECT string_agg(md5(i::text), '') FROM generate_series(1, 3000) i"
CORE = ("memories", "results", "runs", "feedback")


@pytest.fixture
async def shop(open_shop: Opener) -> Workshop:
    opened = await open_shop(schema__01=TABLES)
    bobs = f"INSERT INTO {opened.name}.memories (entity, subject) VALUES ('bob@other.example', %s)"
    await opened.change(bobs, SECRET)
    return opened


async def made(shop: Workshop, statement: str) -> None:
    """Something that a program of the owner's did, as the app."""
    async with shop.database.login(shop.name) as conn:
        await conn.execute(statement.encode())


async def imported(shop: Workshop, path: Path, more: str) -> None:
    await portable.renew(shop.database, write_folder(path, shop.name, more, schema__01=TABLES))


async def adopted(shop: Workshop, author: str, **changes: str) -> None:
    """A draft of another playbook than the one that counts, and a word on it."""
    async with shop.database.api() as conn:
        agent = await agents.get(conn, shop.name)
        draft = dataclasses.replace(await revisions.load(conn, agent, agent.current), **changes)
        lesson = playbooks.Lesson(f"rule-{agent.current}", "", "Be brief.", {}, "owner", "2026-11-22T09:00:00+00:00")
        draft = dataclasses.replace(draft, lessons=(*draft.lessons, lesson))
        n = await revisions.add(conn, agent, draft, revisions.Change("a lesson", "manager", parent=agent.current))
        await revisions.decide(conn, agent, n, "adopt", author=author)


async def gone_back(shop: Workshop, n: int) -> None:
    async with shop.database.api() as conn:
        await adoption.roll_back(conn, await agents.get(conn, shop.name), n)


async def seen(shop: Workshop, table: str) -> str:
    """What a run on a customer's mail gets of a table, as its own lookup asks for it."""
    await correspondent.ready(shop.database, shop.agent.id)
    try:
        found = await reader.query(shop.database, reader.Bound(apps.bound(shop.name), CUSTOMER), f"TABLE {table}")
    except errors.GateRefusal as error:
        return str(error)
    return str(found.rows)


async def followed(shop: Workshop) -> int:
    """The revision that the views are said to follow."""
    row = await shop.row("SELECT revision FROM pocketlet.bound WHERE agent_id = %s", shop.agent.id)
    return row["revision"]


async def test_a_revision_that_was_refused_shows_nothing(shop: Workshop, tmp_path: Path) -> None:
    await made(shop, TOO_LONG)
    with pytest.raises(errors.BadAgent, match=r"customers\.email holds a text that is too long"):
        await imported(shop, tmp_path / "wider", WIDER + '[reads.bound]\ncustomers = "email"\n')
    assert (list(await shop.states()), await followed(shop)) == ([1], 0)
    assert [SECRET in await seen(shop, table) for table in CORE] == [False] * 4
    assert await followed(shop) == 1


class _Died(Exception):
    """The process is gone before the revision is committed."""


async def _die_after_the_views(shop: Workshop, manifest: str) -> None:
    async with shop.database.api() as conn:
        agent = await agents.get(conn, shop.name)
        playbook = await revisions.load(conn, agent, agent.current)
        wider = dataclasses.replace(playbook, manifest_text=manifest)
        n = await revisions.add(conn, agent, wider, revisions.Change("wider", parent=agent.current))
        await revisions.decide(conn, agent, n, "import")
        await correspondent.bind(shop.database, conn, dataclasses.replace(agent, current=n), wider)
        raise _Died


async def test_a_process_that_dies_on_the_way_leaves_nothing_open(shop: Workshop) -> None:
    await made(shop, f"INSERT INTO customers VALUES ('bob@other.example', '{SECRET}')")
    narrow = await _manifest(shop, '[reads.bound]\ncustomers = "email"')
    await adopted(shop, "owner", manifest_text=narrow)
    assert SECRET not in await seen(shop, "customers")
    with pytest.raises(_Died):
        await _die_after_the_views(shop, await _manifest(shop, '[reads]\nopen = ["memories", "customers"]'))
    assert await followed(shop) == 0
    assert [SECRET in await seen(shop, table) for table in ("memories", "customers")] == [False] * 2
    with pytest.raises(_Died):
        await _die_after_the_views(shop, narrow)  # nothing is made anew, so nothing is forgotten
    assert await followed(shop) == 2


async def _manifest(shop: Workshop, more: str) -> str:
    async with shop.database.api() as conn:
        agent = await agents.get(conn, shop.name)
        return f"{(await revisions.load(conn, agent, 1)).manifest_text}\n{more}\n"


async def test_going_back_from_views_that_could_not_be_made(shop: Workshop) -> None:
    await made(shop, TOO_LONG)
    more = WIDER + '[reads.bound]\ncustomers = "email"'
    await adopted(shop, "owner", manifest_text=await _manifest(shop, more))
    for _ in range(2):  # it is tried at each look-up
        shop.says(calls(("sql", {"query": "TABLE memories"})), finishes())
        step = next(step for step in await shop.steps(await shop.run(mail())) if step.kind == "tool")
        assert "too long" in str(step.error)
        assert SECRET not in str(step)
    await gone_back(shop, 1)
    assert [SECRET in await seen(shop, table) for table in CORE] == [False] * 4


async def test_a_draft_that_the_gate_adopts_opens_no_table_that_came_since(shop: Workshop, tmp_path: Path) -> None:
    await made(shop, f"INSERT INTO products VALUES ('pot'); CREATE TABLE diary AS SELECT '{SECRET}' AS body")
    for author in ("gate", "gate", "owner"):  # also of the owner's, if it is about something else
        assert "permission denied" in await seen(shop, "diary")
        assert "pot" in await seen(shop, "products")
        await adopted(shop, author)
    assert "permission denied" in await seen(shop, "diary")
    await imported(shop, tmp_path / "named", '[reads]\nopen = ["diary"]')
    assert SECRET in await seen(shop, "diary")
    await adopted(shop, "gate")
    assert SECRET in await seen(shop, "diary")


async def test_a_revision_with_other_reads_shares_what_there_is(shop: Workshop) -> None:
    await made(shop, f"CREATE TABLE diary AS SELECT '{SECRET}' AS body")
    await adopted(shop, "owner", manifest_text=await _manifest(shop, '[reads.bound]\ncustomers = "email"'))
    await adopted(shop, "gate")  # before anybody read under the owner's word
    assert SECRET in await seen(shop, "diary")


async def test_what_takes_the_name_of_a_shared_table_is_closed(shop: Workshop) -> None:
    assert await seen(shop, "products") == "()"
    await made(shop, f"DROP TABLE products; CREATE TABLE products AS SELECT '{SECRET}' AS name")
    await adopted(shop, "gate")
    assert "permission denied" in await seen(shop, "products")


async def test_going_back_opens_what_was_open_then(shop: Workshop, tmp_path: Path) -> None:
    await made(shop, f"CREATE TABLE diary AS SELECT 'bob' AS whose, '{SECRET}' AS body")
    await made(shop, f"INSERT INTO customers VALUES ('bob@other.example', '{SECRET}')")
    assert SECRET in await seen(shop, "customers")
    more = '[reads.bound]\ndiary = "whose"\ncustomers = "email"'
    await imported(shop, tmp_path / "bound", more)
    assert [await seen(shop, table) for table in ("diary", "customers")] == ["()", "()"]
    await gone_back(shop, 1)
    await adopted(shop, "gate")
    assert SECRET in await seen(shop, "customers")
    assert "permission denied" in await seen(shop, "diary")


async def test_an_earlier_word_that_nobody_read_under_covers_what_was_there_before(shop: Workshop) -> None:
    more = '[reads.bound]\ncustomers = "{0}"'
    await adopted(shop, "owner", manifest_text=await _manifest(shop, more.format("email")))
    await adopted(shop, "owner", manifest_text=await _manifest(shop, more.format("name")))
    await made(shop, f"CREATE TABLE diary AS SELECT '{SECRET}' AS body")
    assert SECRET in await seen(shop, "diary")
    await gone_back(shop, 2)
    assert "permission denied" not in await seen(shop, "products")
    assert "permission denied" in await seen(shop, "diary")
