"""Tasks that use connections end, even where a broken connection takes the place of the cancellation."""

import asyncio
import logging

import pytest

from pocketlet import errors
from pocketlet.db import ending


async def test_a_lost_cancellation_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "AGAIN", 0.001)
    lost: list[int] = []

    async def duty() -> None:
        while True:
            try:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if len(lost) < 3:
                        raise errors.NoPostgres("The rollback found no connection.") from None
                    raise
            except errors.NoPostgres:
                lost.append(1)

    tasks = [asyncio.create_task(duty()), asyncio.create_task(asyncio.Event().wait())]
    await asyncio.sleep(0)
    await ending.end(tasks)
    assert all(task.cancelled() for task in tasks)
    assert len(lost) == 3


async def test_what_failed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> None:
        raise errors.NotFound("There is no such thing.")

    task = asyncio.create_task(failing(), name="a duty")
    await asyncio.wait([task])
    with caplog.at_level(logging.ERROR):
        await ending.end([task])
    assert "a duty ended with an error" in caplog.text
    await ending.end([])
