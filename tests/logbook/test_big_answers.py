"""What a query of an owner's may cost us: our memory is bounded, whatever Postgres says, and runs are not held up."""

import asyncio
import re
from pathlib import Path

import pytest
from desks import Desk
from remembering import Kept, keep

from pocketlet.db import pool, reader
from pocketlet.platform import apps

MEGABYTE = 2**20
BLOCK = "repeat('12345678', 125)"  # 1,000 bytes
SLOW = "SELECT count(*) FROM generate_series(1, 100000000)"
ACTIVE = b"SELECT pid FROM pg_stat_activity WHERE usename = %s AND state = 'active' AND query ~ 'FETCH'"


@pytest.fixture(scope="module")
async def kept(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return await keep(desk, tmp_path_factory.mktemp("big"))


def memory(name: str) -> int:
    """Bytes of this process, in which the listener is, too: VmRSS now, VmHWM at most since `forget`."""
    [found] = re.findall(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    return int(found) * 1024


def forget() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


@pytest.mark.parametrize("way", ["sql", "sql/csv"])
async def test_an_answer_of_150_megabytes_is_refused_before_it_is_here(desk: Desk, kept: Kept, way: str) -> None:
    async with desk.client() as client:
        forget()
        before = memory("VmRSS")
        asked = {"query": f"SELECT repeat({BLOCK}, 150000)"}
        refused = await client.post(f"{kept.api}/{way}", json=asked, timeout=60)
        grown = memory("VmHWM") - before
    assert (refused.status_code, refused.json()["code"]) == (422, "gaterefusal")
    assert refused.json()["hint"]
    assert grown < (100 if way.endswith("csv") else 25) * MEGABYTE


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT repeat({BLOCK}, 40000)",
        f"SELECT repeat({BLOCK}, 10000 + g) FROM generate_series(1, 4) g",
        f"SELECT 1 FROM memories WHERE body = repeat({BLOCK}, 40000)",  # which the plan quotes
        f"SELECT repeat({BLOCK}, 40000)::int",  # which the error quotes
    ],
)
async def test_whatever_is_too_large_is_refused_before_it_is_here(desk: Desk, kept: Kept, query: str) -> None:
    forget()
    before = memory("VmRSS")
    with pytest.raises(reader.Stopped) as refused:
        await reader.query(desk.database, apps.reader(kept.name), query, limits=reader.Limits(seconds=60))
    grown = memory("VmHWM") - before
    assert str(refused.value) == "One piece of the answer is larger than 256 KB: nothing was read."
    assert "left(column, 1000)" in refused.value.hint
    assert grown < 10 * MEGABYTE
    assert (await reader.query(desk.database, apps.reader(kept.name), "SELECT 1")).rows == (("1",),)


async def test_many_small_values_are_counted_too(desk: Desk, kept: Kept) -> None:
    columns = ", ".join(["'ab'"] * 1500)
    async with desk.client() as client:
        forget()
        before = memory("VmRSS")
        asked = {"query": f"SELECT {columns} FROM generate_series(1, 10000)"}
        found = (await client.post(f"{kept.api}/sql", json=asked, timeout=60)).json()
        grown = memory("VmHWM") - before
    assert found["capped"] == "cut at 2048 KB"
    assert len(found["rows"]) == 2 * MEGABYTE // (1500 * 18)
    assert grown < 60 * MEGABYTE


async def test_rows_before_one_that_is_too_large_are_shown(desk: Desk, kept: Kept) -> None:
    query = f"SELECT g, CASE WHEN g > 3 THEN repeat({BLOCK}, 10000 + g) END FROM generate_series(1, 5) g"
    async with desk.client() as client:
        found = (await client.post(f"{kept.api}/sql", json={"query": query})).json()
    assert found["capped"] == "cut at 2048 KB"
    assert [row["cells"][0] for row in found["rows"]] == ["1"]


async def active(database: pool.Database, login: str) -> list[int]:
    async with database.login("pd_watch") as conn:
        return [row["pid"] for row in await (await conn.execute(ACTIVE, (login,))).fetchall()]


async def test_slow_queries_of_an_owner_hold_up_no_run_and_no_other_owner(desk: Desk, kept: Kept) -> None:
    login = apps.reader(kept.name)
    async with desk.client() as client, desk.client("second") as theirs, await desk.browser() as browser:
        slow = [asyncio.create_task(client.post(f"{kept.api}/sql", json={"query": SLOW})) for _ in range(2)]
        pids = await active(desk.database, login)
        while len(pids) < 2 and not any(task.done() for task in slow):
            pids = await active(desk.database, login)
        third = await client.post(f"{kept.api}/sql", json={"query": SLOW})
        page = await browser.get(f"{kept.page}/sql", params={"q": "SELECT 1"})
        found = await reader.query(desk.database, login, "SELECT count(*) FROM memories")
        other = await theirs.post("/v1/agents/foreign/sql", json={"query": "SELECT 1"})
        assert not any(task.done() for task in slow)
        async with desk.database.login("pd_watch") as conn:
            for pid in pids:
                await conn.execute(b"SELECT pg_terminate_backend(%s)", (pid,))
        await asyncio.gather(*slow, return_exceptions=True)
        after = await client.post(f"{kept.api}/sql", json={"query": "SELECT 1"})
    assert (third.status_code, third.json()["code"], third.headers["retry-after"]) == (429, "gatebusy", "10")
    assert "ask again" in third.json()["hint"]
    assert (page.status_code, "2 queries of yours are being read already" in page.text) == (429, True)
    assert (found.rows, other.status_code, after.status_code) == ((("4",),), 200, 200)
