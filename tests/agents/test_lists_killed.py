"""Workers that are killed around every transaction of a list's life: no item is lost, and none is begun twice."""

import multiprocessing
from collections.abc import Awaitable, Callable
from datetime import timedelta
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import mortal
import pytest
import workshop as workshops

from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import slots
from pocketlet.platform import queue

Opener = Callable[..., Awaitable[workshops.Workshop]]
LIST = """
[triggers.work]
result_of = "nobody"
task = "Do this one."
each = "select subject from memories union all select 'tea ' || n from generate_series(1, 5) n"
at_once = 2
"""
ITEMS = "SELECT position, run_id, state FROM pocketlet.slot WHERE parent = %s ORDER BY position"
RUNS = "SELECT count(*)::int AS n FROM pocketlet.run WHERE agent_id = %s"


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    """Where processes come from that need not import everything anew."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["mortal"])
    return made


async def _record(shop: workshops.Workshop, key: str) -> int:
    async with shop.database.api() as conn:
        number = await slots.record(conn, await stored.by_name(conn, shop.agent.id, "work"), slots.Event(key))
    assert number
    return number


def _works(context: ForkServerContext, shop: workshops.Workshop, crash: str) -> int | None:
    """A worker's whole life; how it ended."""
    address = shop.database.address
    order = mortal.Order(address.host, address.port, address.setup_user, shop.agent.id, crash)
    process = context.Process(target=mortal.live, args=(order,), daemon=True)
    process.start()
    process.join(60)
    return process.exitcode


async def test_a_worker_may_die_anywhere_in_a_list(
    open_shop: Opener, turned: Any, context: ForkServerContext, tmp_path: Path
) -> None:
    shop = await open_shop(LIST)
    await queue.unregister(shop.database, shop.engine.worker)  # nobody else takes up its runs
    log = tmp_path / "points"
    await _record(shop, "first")
    assert _works(context, shop, f"log {log}") == 0
    points = [
        line for line in dict.fromkeys(log.read_text().splitlines()) if "/waking/" in line or "/reader.py" in line
    ]
    assert {"beginning.py", "lists.py", "rounds.py", "settling.py"} <= {
        Path(one).name.partition(":")[0] for one in points
    }
    died = 0
    for number, (where, side, times) in enumerate(
        (where, side, times) for where in points for side, times in (("before", 1), ("after", 2))
    ):
        before = await shop.row(RUNS, shop.agent.id)
        slot = await _record(shop, f"again {number}")
        died += _works(context, shop, f"{where} {side} {times} kill") == -9
        await turned.turn(timedelta(seconds=slots.LEASE + 1))
        await mortal.through(shop.database, shop.agent.id)
        items = await shop.rows(ITEMS, slot)
        assert [(item["position"], item["state"]) for item in items] == [(n, "done") for n in range(1, 6)], where
        assert len({item["run_id"] for item in items}) == 5, where
        assert (await shop.row(RUNS, shop.agent.id))["n"] == before["n"] + 5, where
        assert (await shop.row("SELECT state FROM pocketlet.slot WHERE id = %s", slot))["state"] == "done"
    assert died >= len(points)
