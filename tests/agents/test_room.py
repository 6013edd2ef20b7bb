"""Whether disks have room: each machine tells of its own, and one that nobody looks at any more holds up nothing."""

import functools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import workshop as workshops

from pocketlet.agents.waking import mails, rounds
from pocketlet.db import pool
from pocketlet.platform import notices, space

Opener = Callable[..., Awaitable[workshops.Workshop]]
full = functools.partial(space.look, share=1.1, enough=2**62)
roomy = functools.partial(space.look, share=0.0)


async def low(database: pool.Database) -> list[str]:
    """The problems of disks that are open."""
    async with database.api() as conn:
        return sorted(one["problem"] for one in await notices.standing(conn) if one["problem"].startswith("disk:low"))


@pytest.fixture(autouse=True)
async def nothing_is_open(db: pool.Database) -> None:
    assert await low(db) == []


async def test_a_machine_with_room_does_not_end_the_notice_of_one_without(
    open_shop: Opener, tmp_path: Path, turned: Any
) -> None:
    shop = await open_shop('[triggers]\nmail = "desk-two@shop.example"\n')
    assert await full(shop.database, tmp_path, host="a")
    async with shop.database.api() as conn:
        await mails.accept(conn, "desk-two@shop.example", workshops.mail())
    assert not await roomy(shop.database, tmp_path, host="b")
    assert await low(shop.database) == ["disk:low:a"]
    assert await rounds.begin_due(shop.database) == 0
    assert await full(shop.database, tmp_path, host="b")
    assert not await roomy(shop.database, tmp_path, host="a")
    assert await low(shop.database) == ["disk:low:b"]
    await turned.turn(timedelta(seconds=space.FORGOTTEN + 1))
    assert not await roomy(shop.database, tmp_path, host="a")  # machine b is gone
    assert await low(shop.database) == []
    assert await rounds.begin_due(shop.database) == 1


async def test_a_disk_that_can_not_be_asked_says_nothing(
    db: pool.Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await full(db, tmp_path / "gone")
    assert await low(db) == []
    assert "could not be seen" in caplog.text
