"""The audit trail is one chain: whatever is changed in it afterwards is found, at its row."""

import asyncio
from collections.abc import AsyncGenerator

import psycopg
import pytest

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import audit

FULL = audit.Entry(
    "gate", "policy.decide", "mail to a@example.org", 7, "shop", 12, 3, "ask", "unbound", {"to": "ä\x00", "n": 1.50}
)
EMPTY = audit.Entry("owner", "", "")
LINK_AGAIN = """
DO $$
DECLARE
  r record;
  link bytea := decode(repeat('00', 32), 'hex');
BEGIN
  FOR r IN SELECT * FROM pocketlet.audit ORDER BY id LOOP
    link := pocketlet.chain_hash(
      'pocketlet audit 1', encode(link, 'hex'), r.id::text, trunc(extract(epoch FROM r.at) * 1000000)::text,
      r.actor, r.action, r.subject, r.agent_id::text, r.agent, r.run_id::text, r.step_seq::text, r.verdict, r.rule,
      r.details::text);
    UPDATE pocketlet.audit SET hash = link WHERE id = r.id;
    UPDATE pocketlet.audit SET previous = link WHERE id = r.id + 1;
    UPDATE pocketlet.audit_head SET id = r.id, hash = link;
  END LOOP;
END $$"""


@pytest.fixture
async def forger(db: pool.Database) -> AsyncGenerator[pool.Conn]:
    """A superuser in a transaction that is taken back, with six rows of its own at the start of a chain."""
    async with db.setup() as conn, conn.transaction(force_rollback=True):
        await conn.execute("ALTER TABLE pocketlet.audit DISABLE TRIGGER USER")
        await conn.execute("DELETE FROM pocketlet.audit")
        await conn.execute("UPDATE pocketlet.audit_head SET id = 0, hash = decode(repeat('00', 32), 'hex')")
        await conn.execute("ALTER TABLE pocketlet.audit ENABLE TRIGGER USER")
        for entry in (EMPTY, FULL, FULL, FULL, EMPTY, FULL):
            await audit.write(conn, entry)
        yield conn


async def test_a_row_is_written_once_and_listed(db: pool.Database) -> None:
    async with db.api() as conn:
        before = await audit.verify(conn)
        number = await audit.write(conn, FULL)
        await audit.write(conn, EMPTY)
        [row] = await audit.listing(conn, agent="shop", limit=1)
        assert [row["id"]] == [one["id"] for one in await audit.listing(conn, run_id=12, limit=1)] == [number]
        after = await audit.verify(conn, before.head)
    assert (row["actor"], row["verdict"], row["details"]) == ("gate", "ask", {"to": "ä\ufffd", "n": 1.5})
    assert (after.rows, after.broken) == (before.rows + 2, None)
    assert number == before.rows + 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pocketlet.audit SET verdict = 'allow'",
        "DELETE FROM pocketlet.audit",
        "TRUNCATE pocketlet.audit",
        "INSERT INTO pocketlet.audit (id, actor, action, subject) VALUES (99, 'owner', 'a', 'b')",
        "INSERT INTO pocketlet.audit (at, actor, action, subject) VALUES ('2000-01-01', 'owner', 'a', 'b')",
        "INSERT INTO pocketlet.audit (actor, action, subject, hash) VALUES ('owner', 'a', 'b', '')",
        "UPDATE pocketlet.audit_head SET id = 0",
        "DELETE FROM pocketlet.audit_head",
        "ALTER TABLE pocketlet.audit DISABLE TRIGGER chain",
        "SELECT pocketlet.chain_hash('a')",
    ],
)
async def test_the_platforms_login_can_only_add(db: pool.Database, statement: str) -> None:
    async with db.api() as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute(statement.encode())
        await conn.rollback()


@pytest.mark.parametrize("suffix", ["", "_ro", "_mgr", "_try", "_bnd"])
async def test_an_app_neither_reads_nor_writes_it(db: pool.Database, app: str, suffix: str) -> None:
    async with db.login(app + suffix) as conn:
        for statement in ("SELECT FROM pocketlet.audit", "INSERT INTO pocketlet.audit (actor) VALUES ('owner')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await conn.execute(statement.encode())


CHANGES = {
    "id": "-id",
    "at": "at + interval '1 microsecond'",
    "actor": "'owner'",
    "action": "'qolicy.decide'",
    "subject": "subject || ' '",
    "agent_id": "8",
    "agent": "'shoq'",
    "run_id": "13",
    "step_seq": "2",
    "verdict": "'asl'",
    "rule": "NULL",
    "details": "details || '{\"n\": 1.6}'",
    "previous": "set_byte(previous, 31, get_byte(previous, 31) # 1)",
    "hash": "set_byte(hash, 0, get_byte(hash, 0) # 1)",
}


async def test_every_column_has_a_change(forger: pool.Conn) -> None:
    cursor = await forger.execute("SELECT * FROM pocketlet.audit LIMIT 0")
    assert {column.name for column in cursor.description or ()} == set(CHANGES)


@pytest.mark.parametrize("row", [2, 4, 6])
@pytest.mark.parametrize("column", CHANGES)
async def test_a_changed_byte_is_found_at_its_row(forger: pool.Conn, column: str, row: int) -> None:
    assert await audit.verify(forger) == audit.Verified(6, await head(forger))
    await forger.execute(f"UPDATE pocketlet.audit SET {column} = {CHANGES[column]} WHERE id = {row}".encode())
    broken = -row if column == "id" else row
    assert (await audit.verify(forger)).broken == broken


@pytest.mark.parametrize(("column", "of"), [("subject", "action"), ("agent", "subject"), ("verdict", "rule")])
async def test_text_can_not_move_between_columns(forger: pool.Conn, column: str, of: str) -> None:
    await forger.execute(
        f"UPDATE pocketlet.audit SET {column} = right({of}, 1) || {column}, {of} = left({of}, -1) WHERE id = 3".encode()
    )
    assert (await audit.verify(forger)).broken == 3


async def test_nothing_is_not_an_empty_text(forger: pool.Conn) -> None:
    await forger.execute("UPDATE pocketlet.audit SET rule = '' WHERE id = 5")
    assert (await audit.verify(forger)).broken == 5


async def test_a_missing_row_is_named(forger: pool.Conn) -> None:
    await forger.execute("DELETE FROM pocketlet.audit WHERE id = 3")
    found = await audit.verify(forger)
    assert (found.rows, found.broken, found.why) == (2, 3, "it is missing")


async def test_rows_that_changed_places_are_found(forger: pool.Conn) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        await forger.execute(f"UPDATE pocketlet.audit SET id = {new} WHERE id = {old}".encode())
    assert (await audit.verify(forger)).broken == 2


async def test_a_tail_that_was_cut_off_is_missed(forger: pool.Conn) -> None:
    await forger.execute("DELETE FROM pocketlet.audit WHERE id > 4")
    found = await audit.verify(forger)
    assert (found.rows, found.broken, found.why) == (4, 5, "rows are missing at the end")


@pytest.mark.parametrize("left", [0, 4])
async def test_with_its_head_set_back_only_an_anchor_misses_the_tail(forger: pool.Conn, left: int) -> None:
    anchor = (await audit.verify(forger)).head
    await forger.execute(f"DELETE FROM pocketlet.audit WHERE id > {left}".encode())
    await forger.execute(LINK_AGAIN)
    if not left:
        await forger.execute("UPDATE pocketlet.audit_head SET id = 0, hash = decode(repeat('00', 32), 'hex')")
    assert (await audit.verify(forger)).broken is None
    assert (await audit.verify(forger, anchor)).broken == left + 1


async def test_a_chain_that_was_written_anew_does_not_meet_its_anchor(forger: pool.Conn) -> None:
    anchor = (await audit.verify(forger)).head
    await forger.execute("UPDATE pocketlet.audit SET verdict = 'allow' WHERE id = 2")
    await forger.execute(LINK_AGAIN)
    await audit.write(forger, FULL)
    assert (await audit.verify(forger)).broken is None
    assert (await audit.verify(forger, anchor)).broken == 6


async def test_without_the_record_of_its_end_it_is_broken(forger: pool.Conn) -> None:
    await forger.execute("DELETE FROM pocketlet.audit_head")
    assert (await audit.verify(forger)).broken == 1


async def test_an_anchor_holds_while_the_chain_grows(forger: pool.Conn) -> None:
    found = await audit.verify(forger)
    await audit.write(forger, FULL)
    text = f"0 {audit.START.hex()} at first\n{found.head.id} {found.head.hash.hex()} 2026-11-22T12:00:00+00:00\n"
    assert (await audit.verify(forger, *audit.read_anchors(text))).rows == 7


@pytest.mark.parametrize("text", ["", "\n", "{", "{}", "5 abc", "x " + "0" * 64, "5 " + "0" * 64 + "\nand more"])
def test_what_is_no_anchor(text: str) -> None:
    with pytest.raises(errors.BadInput, match="no anchor"):
        audit.read_anchors(text)


def test_an_anchor_as_json() -> None:
    assert audit.read_anchors('{"row": 5, "hash": "' + "0f" * 32 + '"}') == [audit.Mark(5, b"\x0f" * 32)]


async def test_writers_at_once_keep_one_chain(db: pool.Database) -> None:
    async with db.api() as conn:
        before = await audit.verify(conn)

    async def writer(name: str) -> None:
        for number in range(10):
            async with db.api() as conn:
                await audit.write(conn, audit.Entry("worker", "test.write", f"{name}{number}"))

    await asyncio.gather(*(writer(name) for name in "abcd"))
    async with db.api() as conn:
        after = await audit.verify(conn, before.head)
    assert (after.rows, after.broken) == (before.rows + 40, None)


async def test_a_transaction_that_was_taken_back_leaves_no_gap(db: pool.Database) -> None:
    async with db.api() as conn:
        number = await audit.write(conn, EMPTY)
        await conn.rollback()
        assert await audit.write(conn, EMPTY) == number
        assert (await audit.verify(conn)).broken is None


async def test_no_text_keeps_a_decision_out(db: pool.Database) -> None:
    async with db.api() as conn:
        await audit.write(conn, audit.Entry("gate", "test.write", "a\x00b\ud800", details={"\x00": "\ud800"}))
        [row] = await audit.listing(conn, limit=1)
        assert (row["subject"], row["details"]) == ("a\ufffdb?", {"\ufffd": "?"})
        assert (await audit.verify(conn)).broken is None


async def test_a_writer_that_can_not_see_the_newest_row_is_refused(db: pool.Database) -> None:
    async with db.api() as late:
        await late.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await audit.verify(late)
        async with db.api() as quick:
            await audit.write(quick, EMPTY)
        with pytest.raises(psycopg.errors.SerializationFailure):
            await audit.write(late, EMPTY)
        await late.rollback()


async def test_the_name_outlives_the_agent(db: pool.Database) -> None:
    async with db.api() as conn:
        cursor = await conn.execute("INSERT INTO pocketlet.agent (name) VALUES ('passing') RETURNING id")
        [agent] = await cursor.fetchall()
        await audit.write(conn, audit.Entry("owner", "test.write", "x", agent["id"]))
        await conn.execute("DELETE FROM pocketlet.agent WHERE name = 'passing'")
        [row] = await audit.listing(conn, agent="passing")
        assert row["subject"] == "x"


async def head(conn: pool.Conn) -> audit.Mark:
    """Where the chain says that it ends."""
    [row] = await (await conn.execute("SELECT id, hash FROM pocketlet.audit_head")).fetchall()
    return audit.Mark(row["id"], row["hash"])
