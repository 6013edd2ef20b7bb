"""Secrets: sealed under a key that is not in the database, bound to their names, never listed."""

import asyncio
import stat
import threading
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from pocketlet import errors
from pocketlet.agents import agent
from pocketlet.db import pool
from pocketlet.platform import audit, vault

#: The second value that is sealed anew meets an error.
BREAK = """
CREATE FUNCTION pocketlet.burn() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN RAISE EXCEPTION 'the disk is on fire'; END $$;
CREATE TRIGGER burn BEFORE UPDATE ON pocketlet.secret FOR EACH ROW WHEN (OLD.name = 'B')
  EXECUTE FUNCTION pocketlet.burn()"""
WAITS = "SELECT FROM pg_locks WHERE relation = 'pocketlet.secret'::regclass AND NOT granted"


async def test_a_secret_is_sealed_and_opened(db: pool.Database, tmp_path: Path) -> None:
    key = vault.key(tmp_path / "home")
    async with db.api() as conn:
        await vault.put(conn, key, "OPENAI_API_KEY", "sk-first")
        await vault.put(conn, key, "OPENAI_API_KEY", "sk-\u00e9-second")
        assert await vault.opened(conn, key) == {"OPENAI_API_KEY": "sk-\u00e9-second"}
        assert await vault.names(conn) == ["OPENAI_API_KEY"]
        (row,) = await (await conn.execute("SELECT nonce, sealed FROM pocketlet.secret")).fetchall()
        assert b"second" not in row["sealed"]
        await vault.remove(conn, "OPENAI_API_KEY")
        assert await vault.names(conn) == []
        with pytest.raises(errors.NotFound):
            await vault.remove(conn, "OPENAI_API_KEY")


async def test_another_key_and_a_moved_secret_are_noticed(db: pool.Database, tmp_path: Path) -> None:
    key, other = vault.key(tmp_path / "one"), vault.key(tmp_path / "two")
    assert key != other
    async with db.api() as conn:
        await vault.put(conn, key, "A", "of a")
        with pytest.raises(errors.Failed, match="another key"):
            await vault.opened(conn, other)
        await conn.execute("UPDATE pocketlet.secret SET name = 'B'")
        with pytest.raises(errors.Failed):
            await vault.opened(conn, key)
        await vault.remove(conn, "B")


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(vault.key(home))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert vault.key(home) == made[0]
    assert [path.name for path in home.iterdir()] == ["key"]
    assert stat.S_IMODE((home / "key").stat().st_mode) == 0o600


def test_a_damaged_key_is_not_replaced(tmp_path: Path) -> None:
    vault.key(tmp_path)
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(errors.Failed, match="is damaged"):
        vault.key(tmp_path)
    assert (tmp_path / "key").read_bytes() == b"short"


def test_a_home_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(errors.Failed, match="can't be used"):
        vault.key(tmp_path / "file")


@pytest.fixture
async def place_of_key(db: pool.Database, tmp_path: Path) -> AsyncGenerator[Path]:
    """A home with a key of its own; what is sealed with it is gone afterwards."""
    yield tmp_path
    async with db.api() as conn:
        await conn.execute("DELETE FROM pocketlet.secret")
        await conn.execute("DELETE FROM pocketlet.setting WHERE name = 'sealing_key'")


@pytest.fixture
async def agents(db: pool.Database) -> AsyncGenerator[tuple[int, int]]:
    """The ids of two agents."""
    async with db.api() as conn:
        ids = [await agent.begin(conn, name, "import") for name in ("vault_one", "vault_two")]
    yield ids[0], ids[1]
    async with db.api() as conn:
        for one in ids:
            await agent.forget(conn, one)


async def noted(conn: pool.Conn, limit: int) -> list[tuple[str, str, str | None]]:
    """The newest rows of the audit trail, oldest first."""
    rows = await audit.listing(conn, limit=limit)
    return [(row["action"], row["subject"], row["agent"]) for row in reversed(rows)]


async def test_only_what_is_granted_is_opened_for_an_agent(
    db: pool.Database, place_of_key: Path, agents: tuple[int, int]
) -> None:
    key, (one, two) = vault.key(place_of_key), agents
    async with db.api() as conn:
        for name in ("A", "B"):
            await vault.put(conn, key, name, f"of {name}")
        await vault.grant(conn, "A", one)
        await vault.grant(conn, "A", one)
        assert await vault.open_for(conn, key, one, ["A", "A"]) == {"A": "of A"}
        assert await vault.open_for(conn, key, two, []) == {}
        for whose, wanted in ((one, ["A", "B"]), (two, ["A"])):
            with pytest.raises(errors.Refused, match="not granted"):
                await vault.open_for(conn, key, whose, wanted)
        with pytest.raises(errors.NotFound):
            await vault.open_for(conn, key, one, ["A", "C"])
        with pytest.raises(errors.NotFound):
            await vault.grant(conn, "C", one)
        assert [(row["name"], row["agents"]) for row in await vault.listing(conn)] == [("A", ["vault_one"]), ("B", [])]
        await vault.revoke(conn, "A", one)
        with pytest.raises(errors.Refused):
            await vault.open_for(conn, key, one, ["A"])
        with pytest.raises(errors.NotFound):
            await vault.revoke(conn, "A", one)
        assert await vault.opened(conn, key) == {"A": "of A", "B": "of B"}
        assert await noted(conn, 4) == [
            ("secret.set", "A", None),
            ("secret.set", "B", None),
            ("secret.grant", "A", "vault_one"),
            ("secret.revoke", "A", "vault_one"),
        ]


async def test_a_new_value_keeps_the_grants_and_a_removed_secret_does_not(
    db: pool.Database, place_of_key: Path, agents: tuple[int, int]
) -> None:
    key = vault.key(place_of_key)
    async with db.api() as conn:
        await vault.put(conn, key, "A", "first")
        await vault.grant(conn, "A", agents[0])
        [before] = await vault.listing(conn)
        await vault.put(conn, key, "A", "second")
        [after] = await vault.listing(conn)
        assert await vault.open_for(conn, key, agents[0], ["A"]) == {"A": "second"}
        assert after["created_at"] == before["created_at"] <= before["changed_at"] < after["changed_at"]
        assert await noted(conn, 1) == [("secret.change", "A", None)]
        await vault.remove(conn, "A")
        await vault.put(conn, key, "A", "third")
        assert await noted(conn, 2) == [("secret.remove", "A", None), ("secret.set", "A", None)]
        with pytest.raises(errors.Refused):
            await vault.open_for(conn, key, agents[0], ["A"])


async def test_use_is_written_down_once_a_day(db: pool.Database, place_of_key: Path, agents: tuple[int, int]) -> None:
    key = vault.key(place_of_key)
    async with db.api() as conn:
        for name in ("A", "B"):
            await vault.put(conn, key, name, "x")
            await vault.grant(conn, name, agents[0])
        await vault.opened(conn, key)
        assert [row["last_used_at"] for row in await vault.listing(conn)] == [None, None]
        await vault.open_for(conn, key, agents[0], ["A"])
        used, other = await vault.listing(conn)
        assert used["last_used_at"] >= used["created_at"]
        assert other["last_used_at"] is None
        await conn.execute("UPDATE pocketlet.secret SET last_used_at = pocketlet.now() - interval '1 day'")
        await vault.used(conn, ["A"])
        moved, left = await vault.listing(conn)
        assert moved["last_used_at"] - left["last_used_at"] >= timedelta(hours=23)
        await vault.used(conn, ["A"])
        assert (await vault.listing(conn))[0] == moved


async def test_no_value_reaches_the_audit_trail(db: pool.Database, place_of_key: Path, agents: tuple[int, int]) -> None:
    async with db.api() as conn:
        await vault.put(conn, vault.key(place_of_key), "A", "hush-hush")
        await vault.rekey(conn, place_of_key, keep_logins=True)
        rows = await (await conn.execute("SELECT a::text AS row FROM pocketlet.audit a")).fetchall()
    assert not [row for row in rows if "hush" in row["row"] or vault.key(place_of_key).hex() in row["row"]]


async def sealed(db: pool.Database, home: Path) -> dict[str, str]:
    """Two secrets under the key of a home."""
    values = {"A": "of a", "B": "of b"}
    async with db.api() as conn:
        for name, value in values.items():
            await vault.put(conn, vault.key(home), name, value)
    return values


async def changed(db: pool.Database, home: Path) -> None:
    """The key, changed from beginning to end."""
    async with db.api() as conn:
        assert await vault.rekey(conn, home, keep_logins=False) == 2
    async with db.api() as conn:
        await vault.settle(conn, home)


async def test_a_new_key_opens_everything_and_the_old_one_nothing(db: pool.Database, place_of_key: Path) -> None:
    values, old = await sealed(db, place_of_key), vault.key(place_of_key)
    await changed(db, place_of_key)
    new = vault.key(place_of_key)
    assert len(new) == len(old)
    assert new != old
    assert [path.name for path in place_of_key.iterdir()] == ["key"]
    assert stat.S_IMODE((place_of_key / "key").stat().st_mode) == 0o600
    async with db.api() as conn:
        assert await vault.opened(conn, new) == values
        with pytest.raises(errors.Failed, match="another key"):
            await vault.opened(conn, old)
        with pytest.raises(errors.Conflict, match="key was changed"):
            await vault.put(conn, old, "C", "lost")
        assert await noted(conn, 1) == [("secret.rekey", "all", None)]


async def test_what_fails_in_the_middle_of_a_change_of_the_key_loses_nothing(
    db: pool.Database, place_of_key: Path
) -> None:
    values, old = await sealed(db, place_of_key), vault.key(place_of_key)
    async with db.setup() as conn:
        await conn.execute(BREAK)
    try:
        with pytest.raises(psycopg.errors.RaiseException, match="the disk is on fire"):
            await changed(db, place_of_key)
    finally:
        async with db.setup() as conn:
            await conn.execute("DROP FUNCTION pocketlet.burn CASCADE")
    both = vault.key(place_of_key)
    assert both.startswith(old)
    async with db.api() as conn:
        assert await vault.opened(conn, both) == await vault.opened(conn, old) == values
        await vault.put(conn, both, "B", values["B"])
        assert await vault.opened(conn, old) == values
    await changed(db, place_of_key)
    async with db.api() as conn:
        assert await vault.opened(conn, vault.key(place_of_key)) == values
    assert not vault.key(place_of_key).startswith(old)


async def test_what_ends_between_the_commit_and_the_key_file_loses_nothing(
    db: pool.Database, place_of_key: Path
) -> None:
    values, old = await sealed(db, place_of_key), vault.key(place_of_key)
    async with db.api() as conn:
        await vault.rekey(conn, place_of_key, keep_logins=False)
    (place_of_key / ".key.0badc0de.tmp").write_bytes(old)
    both = vault.key(place_of_key)
    async with db.api() as conn:
        assert await vault.opened(conn, both) == values
        await vault.put(conn, both, "B", values["B"])
        assert await vault.opened(conn, both[-32:]) == values
    await changed(db, place_of_key)
    assert [path.name for path in place_of_key.iterdir()] == ["key"]
    async with db.api() as conn:
        assert await vault.opened(conn, vault.key(place_of_key)) == values
    assert vault.key(place_of_key) not in (both[:32], both[-32:])


async def test_a_value_that_waited_for_a_change_of_the_key_is_not_sealed_with_the_old_one(
    db: pool.Database, place_of_key: Path
) -> None:
    await sealed(db, place_of_key)
    old = vault.key(place_of_key)

    async def late() -> None:
        async with db.api() as conn:
            await vault.put(conn, old, "C", "late")

    async with db.api() as conn:
        await vault.rekey(conn, place_of_key, keep_logins=False)
        waiting = asyncio.ensure_future(late())
        async with db.api() as watching:
            found: list[object] = []
            while not found:
                found += await (await watching.execute(WAITS)).fetchall()
    with pytest.raises(errors.Conflict):
        await waiting


async def test_what_was_opened_can_be_put_back_before_the_key_changes(db: pool.Database, place_of_key: Path) -> None:
    await sealed(db, place_of_key)
    key = vault.key(place_of_key)
    async with db.api() as conn:
        values = await vault.opened(conn, key)
        waiting = asyncio.ensure_future(changed(db, place_of_key))
        async with db.api() as watching:
            found: list[object] = []
            while not found:
                found += await (await watching.execute(WAITS)).fetchall()
        await vault.put(conn, key, "A", "renewed", actor="worker")
        [row] = await audit.listing(conn, limit=1)
        assert (row["actor"], row["action"]) == ("worker", "secret.change")
    await waiting
    async with db.api() as conn:
        assert await vault.opened(conn, vault.key(place_of_key)) == values | {"A": "renewed"}


async def test_two_that_change_the_key_at_once_take_turns(db: pool.Database, place_of_key: Path) -> None:
    values = await sealed(db, place_of_key)
    await asyncio.gather(*(changed(db, place_of_key) for _ in range(3)))
    async with db.api() as conn:
        assert await vault.opened(conn, vault.key(place_of_key)) == values
    assert len(vault.key(place_of_key)) == vault.KEY_BYTES


async def test_with_the_wrong_key_there_is_no_new_one(db: pool.Database, place_of_key: Path) -> None:
    await sealed(db, place_of_key)
    other = place_of_key / "other"
    key = vault.key(other)
    async with db.api() as conn:
        with pytest.raises(errors.Failed, match="another key"):
            await vault.rekey(conn, other, keep_logins=True)
    assert vault.key(other) == key
    assert [path.name for path in other.iterdir()] == ["key"]


async def test_passwords_of_logins_outlive_the_key(db: pool.Database, place_of_key: Path) -> None:
    await sealed(db, place_of_key)
    first = vault.login_key(place_of_key)
    assert first == vault.key(place_of_key)
    for _ in range(2):
        async with db.api() as conn:
            await vault.rekey(conn, place_of_key, keep_logins=True)
        assert vault.login_key(place_of_key) == first
        async with db.api() as conn:
            await vault.settle(conn, place_of_key)
        assert vault.login_key(place_of_key) == first != vault.key(place_of_key)
    assert stat.S_IMODE((place_of_key / "login_key").stat().st_mode) == 0o600
    (place_of_key / "login_key").write_bytes(b"short")
    with pytest.raises(errors.Failed, match="is damaged"):
        vault.login_key(place_of_key)
