"""Secrets: sealed under a key that is not in the database, bound to their names, never listed."""

import stat
import threading
from pathlib import Path

import pytest

from pocketlet import errors
from pocketlet.db import pool
from pocketlet.platform import vault


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
