"""Costs: every way to tell them adds up, caps, the useful run, the forecast, and the same work elsewhere."""

import html
import json
import re
from decimal import Decimal

import pytest
import reading_ground as ground
from desks import Desk

from pocketlet.agents import agent as agents
from pocketlet.agents.waking import forecast
from pocketlet.platform import prices
from pocketlet.platform.gateways import endpoints, models


@pytest.fixture(scope="module")
async def cora(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> agents.Agent:
    """An agent with three runs: one useful, one that was judged wrong, one that failed; a short and a long call."""
    agent = await ground.moved_in(desk, "cora", tmp_path_factory.mktemp("cora"))
    async with desk.database.api() as conn:
        useful = await ground.worked(conn, agent, "One")
        wrong = await ground.worked(conn, agent, "Two")
        await ground.worked(conn, agent, "Three", "failed", error="It broke.")
        await ground.spent(conn, agent, useful, "0.25", (1000, 100))
        await ground.spent(conn, agent, wrong, "0.50", (300_000, 1000))
        await conn.execute(
            b"INSERT INTO pocketlet.feedback (agent_id, run_id, verdict) VALUES (%s, %s, 'wrong')", (agent.id, wrong)
        )
    return agent


async def costs(desk: Desk, owner: str, path: str = "", **query: str) -> dict[str, object]:
    async with desk.client(owner) as client:
        answer = await client.get(f"/v1/costs{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def total(rows: object, name: str = "cost") -> Decimal:
    assert isinstance(rows, list)
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


@pytest.mark.parametrize("owner", ["owner", "cora"])
async def test_every_way_to_tell_it_adds_up(desk: Desk, cora: agents.Agent, owner: str) -> None:
    found = await costs(desk, owner)
    whole = Decimal(str(found["total"]))
    assert whole > 0
    for name in ("agents", "models", "kinds", "by_day"):
        assert total(found[name]) == whole, name
    days = found["by_day"]
    assert isinstance(days, list)
    assert len(days) == 30
    assert Decimal(str(found["today"])) == Decimal(days[-1]["cost"])


async def test_what_is_useful_carries_all_that_was_spent(desk: Desk, cora: agents.Agent) -> None:
    found = await costs(desk, "cora", agent="cora")
    assert found["useful"] == [{"agent": "cora", "runs": 3, "useful": 1, "spent": "0.75", "each": "0.75"}]
    [cap] = found["caps"]  # type: ignore[misc]
    assert (Decimal(cap["per_run"]), Decimal(cap["per_day"])) == (Decimal("0.2"), Decimal(2))
    assert "not made" in cap["then"]
    dearest = found["dearest"]
    assert isinstance(dearest, list)
    assert [one["title"] for one in dearest] == ["Two", "One"]


async def test_the_forecast_is_the_commands(desk: Desk) -> None:
    found = await costs(desk, "owner", agent="crm")
    async with desk.database.api() as conn:
        rows = await forecast.month(conn, (await agents.get(conn, "crm")).id)
    told = found["forecast"]
    assert isinstance(told, list)
    assert [(one["what"], one["runs"]) for one in told] == [(row["what"], row["runs"]) for row in rows]
    assert Decimal(str(found["forecast_total"])) > 0


async def test_the_same_work_elsewhere_is_priced_call_by_call(desk: Desk, cora: agents.Agent) -> None:
    """A long call has another price at many models: the sum of tokens would be priced wrongly."""
    for model in ("openai:gpt-5-mini", "google:gemini-2.5-pro"):
        found = await costs(desk, "cora", "/elsewhere", model=model)
        price = prices.price_of(endpoints.resolve(model, lambda name: "key" if name.endswith("_KEY") else None), None)
        calls = [models.Usage(1000, 100, 0), models.Usage(300_000, 1000, 0)]
        assert Decimal(str(found["cost_there"])) == sum(prices.cost(price, call) for call in calls)
        assert (found["runs"], found["calls"], found["input_tokens"]) == (2, 2, 301_000)
        assert Decimal(str(found["cost_now"])) == Decimal("0.75")


async def test_a_model_that_nobody_knows_is_said_so(desk: Desk, cora: agents.Agent) -> None:
    async with desk.client("cora") as hers, await desk.browser("cora") as browser:
        assert (await hers.get("/v1/costs/elsewhere?model=openai:no-such-model")).status_code == 404
        for wrong in ("", "x", "nobody:x"):
            assert (await hers.get("/v1/costs/elsewhere", params={"model": wrong})).status_code == 422
        page = await browser.get("/costs?model=openai:no-such-model")
    assert page.status_code == 200
    assert 'role="alert"' in page.text
    assert "The price table does not know this model." in page.text


async def test_nobody_sees_what_others_spent(desk: Desk, cora: agents.Agent) -> None:
    found = await costs(desk, "second")
    assert Decimal(str(found["total"])) == 0
    assert {one["agent"] for one in found["caps"]} == {"foreign"}  # type: ignore[index,union-attr]
    assert found["dearest"] == []
    assert (await costs(desk, "second", "/elsewhere", model="openai:gpt-5-mini"))["calls"] == 0
    mine = await costs(desk, "owner")
    assert "cora" not in json.dumps(mine)
    async with desk.client("second") as theirs:
        for path in ("/v1/costs?", "/v1/costs/elsewhere?model=openai:gpt-5-mini&"):
            other, missing = await theirs.get(f"{path}agent=cora"), await theirs.get(f"{path}agent=nobody")
            assert (other.status_code, missing.status_code) == (404, 404)
            assert other.text == missing.text.replace("nobody", "cora")


async def test_what_a_removed_agent_cost_is_told_to_the_keeper(desk: Desk, cora: agents.Agent) -> None:
    async with desk.database.api() as conn:
        await ground.spent(conn, agents.Agent(cora.id, "gone", "", 1), None, "0.125")
        await conn.execute(b"UPDATE pocketlet.ledger SET agent_id = NULL WHERE agent = 'gone'")
    try:
        keepers, hers = await costs(desk, "owner"), await costs(desk, "cora")
        assert '"gone (removed)"' in json.dumps(keepers)
        assert "gone" not in json.dumps(hers)
        assert "gone" not in json.dumps(await costs(desk, "owner", agent="crm"))
    finally:
        async with desk.database.admin() as conn:
            await conn.execute(b"DELETE FROM pocketlet.ledger WHERE agent = 'gone'")


async def test_the_page_has_a_chart_and_says_the_same_in_a_table(desk: Desk, cora: agents.Agent) -> None:
    async with await desk.browser("cora") as browser, await desk.browser("second") as foreign:
        page = (await browser.get("/costs?agent=cora&days=7&model=openai:gpt-5-mini")).text
        empty = (await foreign.get("/costs")).text
        other = await browser.get("/costs?agent=crm")
        odd = await browser.get("/costs?days=9999999999")
    found = re.search(r"data-chart='([^']*)'", page)
    assert found
    chart = json.loads(html.unescape(found[1]))
    assert len(chart["x"]) == len(chart["lines"][0]["values"]) == 7
    assert chart["lines"][0]["values"][-1] == 0.75
    assert "$0.7500" in page
    assert "/agents/cora/chat?say=From%20now%20on%20you%20may%20spend%20up%20to%20%24" in page
    assert "<meter" in page
    assert "% less" in page
    assert "No model was called in these days." in empty
    assert other.status_code == 404
    assert odd.status_code == 200
