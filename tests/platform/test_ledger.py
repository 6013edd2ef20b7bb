"""Money: reserved from every scope or from none, settled once, and never more than the cap, however many ask."""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import portable, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.platform import ledger, prices
from pocketlet.platform.gateways import models

MANIFEST = 'name = "payer"\njob = "Pay."\nmodel = "openai:none"\n'
PRICE = prices.Price(Decimal(1), Decimal(2), Decimal("0.5"), "test")
USAGE = models.Usage(input=1000, output=100, cached=400)
ROOMY = {"run": Decimal(100), "day": Decimal(100)}
_steps = itertools.count(1)


@pytest.fixture
async def agent(db: pool.Database, tmp_path: Path) -> AsyncGenerator[agents.Agent]:
    (tmp_path / "agent.toml").write_text(MANIFEST)
    yield await portable.load(db, tmp_path)
    await portable.remove(db, "payer")


@pytest.fixture
async def run(db: pool.Database, agent: agents.Agent) -> int:
    async with db.api() as conn:
        return await runs.create(conn, agent, tasks.read(b"Go."), b"Go.", manifests.parse(MANIFEST))


def entry(agent: agents.Agent, run: int, reserved: str = "0.01") -> ledger.Entry:
    """A call that costs at most `reserved`."""
    return ledger.Entry(agent.id, agent.name, run, next(_steps), "run", "openai:none", Decimal(reserved), PRICE)


async def budgets(db: pool.Database, run: int, agent: agents.Agent) -> dict[str, tuple[Decimal, Decimal]]:
    """What is spent and reserved, of the run and of the day."""
    columns = "split_part(scope, ':', 1) AS kind, spent, reserved"
    query = f"SELECT {columns} FROM pocketlet.budget WHERE scope = %s OR scope LIKE %s"
    async with db.api() as conn:
        rows = await (await conn.execute(query.encode(), (f"run:{run}", f"agent:{agent.id}:%"))).fetchall()
    return {row["kind"]: (row["spent"], row["reserved"]) for row in rows}


async def reserve(db: pool.Database, wanted: ledger.Entry, budget: dict[str, Decimal]) -> int:
    async with db.api() as conn:
        return await ledger.reserve(conn, wanted, budget)


async def row(db: pool.Database, number: int) -> dict[str, Any]:
    async with db.api() as conn:
        found = await (await conn.execute("SELECT * FROM pocketlet.ledger WHERE id = %s", (number,))).fetchone()
    assert found
    return found


async def test_a_call_is_reserved_at_its_worst_and_settled_at_its_cost(
    db: pool.Database, agent: agents.Agent, run: int
) -> None:
    wanted = entry(agent, run)
    number = await reserve(db, wanted, ROOMY)
    assert await budgets(db, run, agent) == {"run": (0, wanted.reserved), "agent": (0, wanted.reserved)}
    async with db.api() as conn:
        await ledger.settle(conn, number, wanted, USAGE)
    cost = Decimal("0.001")  # 600 at 1, 400 cached at 0.5, 100 out at 2 per million
    assert await budgets(db, run, agent) == {"run": (cost, 0), "agent": (cost, 0)}
    settled = await row(db, number)
    assert (settled["state"], settled["cost"], settled["input_tokens"]) == ("settled", cost, 1000)
    with pytest.raises(errors.Conflict):
        async with db.api() as conn:
            await ledger.settle(conn, number, wanted, USAGE)
    async with db.api() as conn:
        assert (await ledger.of_run(conn, run))["cost_usd"] == cost
        (line,) = [line for line in await ledger.costs(conn, agent.id) if line["agent"] == agent.name]
    assert (line["calls"], line["cost_usd"], line["uncertain_usd"]) == (1, cost, 0)


@pytest.mark.parametrize("short", ["run", "day"])
async def test_one_scope_that_has_too_little_refuses_for_all(
    db: pool.Database, agent: agents.Agent, run: int, short: str
) -> None:
    with pytest.raises(errors.OverBudget, match=r"0\.005 of 0\.005 USD left") as caught:
        await reserve(db, entry(agent, run), ROOMY | {short: Decimal("0.005")})
    assert caught.value.exit_code == 5
    assert await budgets(db, run, agent) == {}


async def test_what_may_have_been_billed_stays_reserved(db: pool.Database, agent: agents.Agent, run: int) -> None:
    lost, refused = entry(agent, run), entry(agent, run)
    first, second = await reserve(db, lost, ROOMY), await reserve(db, refused, ROOMY)
    async with db.api() as conn:
        await ledger.note_failure(conn, first, "no answer", billed=True)
        await ledger.note_failure(conn, second, "refused", billed=False)
    assert await budgets(db, run, agent) == {"run": (0, lost.reserved), "agent": (0, lost.reserved)}
    assert [(await row(db, number))["state"] for number in (first, second)] == ["reserved", "released"]
    async with db.api() as conn:
        assert (await ledger.of_run(conn, run))["uncertain_usd"] == lost.reserved


async def test_many_that_ask_at_once_never_pass_the_cap(db: pool.Database, agent: agents.Agent, run: int) -> None:
    budget = {"run": Decimal("0.10"), "day": Decimal("0.07")}

    async def attempt() -> bool:
        try:
            await reserve(db, entry(agent, run), budget)
        except errors.OverBudget:
            return False
        return True

    granted = await asyncio.gather(*(attempt() for _ in range(40)))
    assert sum(granted) == 7
    assert await budgets(db, run, agent) == {"run": (0, Decimal("0.07")), "agent": (0, Decimal("0.07"))}


async def test_a_cap_that_was_raised_counts_at_once(db: pool.Database, agent: agents.Agent, run: int) -> None:
    with pytest.raises(errors.OverBudget):
        await reserve(db, entry(agent, run), {"run": Decimal("0.001"), "day": Decimal(1)})
    assert await reserve(db, entry(agent, run), {"run": Decimal("0.01"), "day": Decimal(1)})
