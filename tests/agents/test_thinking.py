"""Asking models: what is tried again, what stays reserved, and what the ledger says in the end."""

from decimal import Decimal
from typing import Any

import pytest
from scripted_model import Fault, calls, finishes, says
from workshop import Workshop

from pocketlet.platform import breaker
from pocketlet.platform.gateways import models

LEDGER = "SELECT state, cost, reserved, error, step_seq FROM pocketlet.ledger WHERE run_id = %s ORDER BY id"
BALANCE = """
SELECT b.scope, b.spent, b.reserved,
       (SELECT sum(l.cost) FROM pocketlet.ledger l WHERE b.scope = ANY (l.scopes)) AS cost,
       (SELECT coalesce(sum(l.reserved), 0) FROM pocketlet.ledger l
         WHERE b.scope = ANY (l.scopes) AND l.state = 'reserved') AS open
  FROM pocketlet.budget b WHERE b.scope = 'run:' || %s OR b.scope LIKE 'agent:' || %s || ':%%'
"""


async def ledger_of(shop: Workshop, run: int) -> list[dict[str, Any]]:
    """The run's ledger rows, after a look at the sums."""
    balances = await shop.rows(BALANCE, run, shop.agent.id)
    assert len(balances) == 2
    for balance in balances:
        assert balance["spent"] == balance["cost"]
        assert balance["reserved"] == balance["open"]
    return await shop.rows(LEDGER, run)


async def test_every_call_is_settled_at_its_cost(shop: Workshop) -> None:
    shop.says(calls(("sql", {"query": "SELECT 1"})), finishes())
    run = await shop.run(b"Go.")
    rows = await ledger_of(shop, run)
    assert [(row["state"], row["step_seq"]) for row in rows] == [("settled", 1), ("settled", 3)]
    assert [row["cost"] for row in rows] == [Decimal("0.000140")] * 2  # 100 in at 1, 20 out at 2 per million
    assert all(row["reserved"] >= row["cost"] for row in rows)


async def test_a_busy_model_is_asked_again_after_the_time_it_named(shop: Workshop) -> None:
    shop.says(says("There."))
    shop.model.faults[shop.name] += [Fault(429, "retry-after: 7"), Fault(500), Fault(503)]
    run = await shop.run(b"Go.")
    assert (await shop.ending(run))["state"] == "done"
    assert shop.pauses == [7.0, 1.0, 2.0]
    assert [row["state"] for row in await ledger_of(shop, run)] == ["released", "released", "released", "settled"]


async def test_after_a_failure_a_retry_goes_on_from_the_journal(shop: Workshop) -> None:
    shop.says(calls(("remember", {"kind": "note", "subject": "once"})), finishes())
    shop.model.faults[shop.name] += [None, *[Fault(500)] * 4]
    run = await shop.run(b"Go.")
    ending = await shop.ending(run)
    assert (ending["state"], ending["exit_code"]) == ("failed", 7)
    assert f"pocketlet retry {run}" in ending["hint"]
    assert [step.tool for step in await shop.steps(run)] == [None, "remember"]

    assert await shop.retry(run) == "done"
    assert [step.tool for step in await shop.steps(run)] == [None, "remember", None, "finish"]
    assert (await shop.ending(run))["error"] is None
    async with shop.database.login(shop.name) as conn:
        assert await (await conn.execute("SELECT subject FROM memories")).fetchall() == [{"subject": "once"}]


async def test_a_refused_key_fails_at_once_and_is_not_billed(shop: Workshop) -> None:
    shop.says(finishes())
    shop.model.faults[shop.name] += [Fault(401)]
    run = await shop.run(b"Go.")
    ending = await shop.ending(run)
    assert ending["state"] == "failed"
    assert "The key for openai was refused" in ending["error"]
    assert "pocketlet secret set OPENAI_API_KEY" in ending["hint"]
    assert "sk-test" not in str(ending)
    assert [row["state"] for row in await ledger_of(shop, run)] == ["released"]
    assert await shop.retry(run) == "done"


async def test_a_call_that_was_not_answered_in_time_stays_reserved(shop: Workshop) -> None:
    shop.says(finishes())
    shop.model.faults[shop.name] += [Fault(hang=True)]
    impatient = models.Gateway(timeout=0.3)
    shop.think(gateway=impatient)
    run = await shop.run(b"Go.")
    await impatient.aclose()
    assert (await shop.ending(run))["state"] == "done"
    silent, answered = await ledger_of(shop, run)
    assert (silent["state"], answered["state"]) == ("reserved", "settled")
    assert "did not answer within" in silent["error"]


async def test_a_broken_connection_is_tried_again(shop: Workshop) -> None:
    shop.says(finishes())
    shop.model.faults[shop.name] += [Fault(cut=True)]
    run = await shop.run(b"Go.")
    assert (await shop.ending(run))["state"] == "done"
    assert len(await ledger_of(shop, run)) == 2


async def test_a_reply_that_is_not_one_is_tried_again_and_stays_reserved(shop: Workshop) -> None:
    shop.says(finishes())
    shop.model.faults[shop.name] += [Fault(200)]
    run = await shop.run(b"Go.")
    assert (await shop.ending(run))["state"] == "done"
    assert [row["state"] for row in await ledger_of(shop, run)] == ["reserved", "settled"]


async def test_a_provider_that_reports_no_usage_is_booked_at_the_worst_case(shop: Workshop) -> None:
    shop.says(calls(("finish", {"outcome": "done", "summary": "ok"}), usage=None))
    run = await shop.run(b"Go.")
    (row,) = await ledger_of(shop, run)
    assert row["state"] == "settled"
    assert row["cost"] == row["reserved"] > 0
    assert row["error"] == "the provider reported no usage"


@pytest.mark.parametrize("budget", ["0", "{run = 0, day = 1}", "{run = 1, day = 0}", "{run = 0.000001, day = 1}"])
async def test_a_budget_that_is_too_small_lets_no_call_out(open_shop: Any, budget: str) -> None:
    shop = await open_shop(f"budget = {budget}")
    shop.says(finishes())
    run = await shop.run(b"Go.")
    ending = await shop.ending(run)
    assert (ending["state"], ending["exit_code"]) == ("failed", 5)
    assert ending["error"].startswith("The budget does not allow another model call.")
    assert "USD left" in ending["error"]
    assert shop.model.requests[shop.name] == []
    assert await shop.rows(LEDGER, run) == []


async def test_a_model_without_a_known_price_is_not_asked(shop: Workshop) -> None:
    elsewhere = {"OPENAI_BASE_URL": "https://models.example/v1", "OPENAI_API_KEY": "sk-test"}
    shop.think(lookup=elsewhere.get)
    text = "SELECT manifest FROM pocketlet.revision WHERE agent_id = %s"
    manifest = (await shop.row(text, shop.agent.id))["manifest"]
    unpriced = "\n".join(line for line in manifest.splitlines() if not line.startswith("price"))
    async with shop.database.setup() as conn:  # revisions are written once: only a superuser can do this
        await conn.execute("UPDATE pocketlet.revision SET manifest = %s WHERE agent_id = %s", (unpriced, shop.agent.id))
    run = await shop.run(b"Go.")
    ending = await shop.ending(run)
    assert (ending["state"], ending["exit_code"]) == ("failed", 5)
    assert "No price is known" in ending["error"]
    assert "price = {input" in ending["hint"]
    assert await shop.rows(LEDGER, run) == []


async def test_the_cap_of_a_run_ends_it_before_it_is_passed(open_shop: Any) -> None:
    shop = await open_shop("budget = {run = 0.02, day = 1}")
    dear = {"prompt_tokens": 5000, "completion_tokens": 2000, "total_tokens": 7000}
    shop.says(*(calls(("sql", {"query": f"SELECT {number}"}), usage=dear) for number in range(9)))
    run = await shop.run(b"Go.")
    assert (await shop.ending(run))["exit_code"] == 5
    rows = await ledger_of(shop, run)
    assert sum(row["cost"] for row in rows) <= Decimal("0.02")
    assert all(row["state"] == "settled" for row in rows)


async def test_a_run_that_meets_the_open_breaker_goes_on_by_itself(shop: Workshop) -> None:
    shop.model.faults[shop.name] += [Fault(500)] * 5
    first = await shop.run(b"Go.")
    assert (await shop.ending(first))["state"] == "failed"
    shop.says(finishes())
    second = await shop.create(b"Go.")
    lock = f"run:{second}"
    await shop.change("UPDATE queue.procrastinate_jobs SET status = 'doing' WHERE lock = %s", lock)  # as a worker does
    try:
        assert await shop.advance(second) == "queued"
        asked = len(shop.model.requests[shop.name])
        assert "No model is asked until" in (await shop.ending(second))["error"]
        query = "SELECT scheduled_at > now() AS later FROM queue.procrastinate_jobs WHERE lock = %s AND status = 'todo'"
        assert (await shop.row(query, lock))["later"]
    finally:
        async with shop.database.api() as conn:
            await breaker.note(conn, ok=True)
    assert await shop.advance(second) == "done"
    assert len(shop.model.requests[shop.name]) == asked + 1
