"""Costs: every way to tell them adds up, caps, the useful run, the forecast, and the same work elsewhere."""

import html
import itertools
import json
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import page_forms
import pytest
import reading_ground as ground
from desks import Desk

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import budgeting, revisions
from pocketlet.agents.waking import forecast
from pocketlet.platform import owners, prices
from pocketlet.platform.gateways import endpoints, models

_names = (f"spender{number}" for number in itertools.count(1))


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
    assert "<meter" in page
    assert "% less" in page
    assert "No model was called in these days." in empty
    assert other.status_code == 404
    assert odd.status_code == 200


BEFORE = 'name = "x"\njob = "y"\nmodel = "openai:none"\n'


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ("", ""),
        (
            "[budget]\nrun = 0.2  # a letter\n# a day\nday = 2.0\n[mail]\naddress = 'a@b.example'\n",
            "# a letter\n# a day",
        ),
        ("budget = {run = 0.2, day = 2} # dear\nmax_steps = 9\n", " # dear\nmax_steps = 9"),
        ("budget = 0.5\n", ""),
        ("[ budget ] # in USD\nday=9\n", "[ budget ] # in USD"),
        ("[triggers.run]\nschedule = '0 8 * * *'\ntask = 'run = 1'\n", "task = 'run = 1'"),
    ],
)
def test_only_the_budget_is_written_anew(more: str, kept: str) -> None:
    made = budgeting.put(BEFORE + more, Decimal("0.75"), Decimal(3))
    found = tomllib.loads(made)
    assert found.pop("budget") == {"run": 0.75, "day": 3}
    wanted = tomllib.loads(BEFORE + more)
    wanted.pop("budget", None)
    assert found == wanted
    assert made.startswith(BEFORE)
    assert kept in made
    assert budgeting.put(made, Decimal("0.75"), Decimal(3)) == made


@pytest.mark.parametrize("more", ["budget.run = 0.1\n", "[budget]\n'run' = 0.1\n", "['budget']\nrun = 1\n"])
def test_what_is_written_in_another_way_is_left_alone(more: str) -> None:
    with pytest.raises(errors.Conflict, match="a form can't change"):
        budgeting.put(BEFORE + more, Decimal(1), Decimal(2))


@pytest.fixture
async def spender(desk: Desk, tmp_path: Path) -> agents.Agent:
    """An agent of one test, and its owner, of the same name; at most 0.2 USD a run and 2 a day."""
    return await ground.moved_in(desk, next(_names), tmp_path)


async def caps(desk: Desk, agent: agents.Agent) -> tuple[Decimal, Decimal, int]:
    """Of a run, of a day, and the revision that says so."""
    [cap] = (await costs(desk, agent.name))["caps"]  # type: ignore[misc]
    return Decimal(cap["per_run"]), Decimal(cap["per_day"]), cap["revision"]


async def test_caps_are_a_revision_that_can_be_taken_back(desk: Desk, spender: agents.Agent) -> None:
    at, wanted = f"/v1/agents/{spender.name}", {"revision": 1, "per_run": "0.75", "per_day": 3}
    async with desk.client(spender.name) as client:
        done = await client.put(f"{at}/budget", json=wanted)
        assert done.json() == {
            "said": f"{spender.name} may spend $0.75 on a run and $3.00 a day from now on. "
            "Before: $0.20 and $2.00 (revision 1).",
            "revision": 2,
            "per_run_before": "0.2",
            "per_day_before": "2",
        }
        assert await caps(desk, spender) == (Decimal("0.75"), Decimal(3), 2)
        for stale in (wanted, wanted | {"revision": 2}):
            assert (await client.put(f"{at}/budget", json=stale)).status_code == 409
        back = await client.post(f"{at}/rollback", json={}, headers={"idempotency-key": spender.name})
        assert back.status_code == 200, back.text
    assert await caps(desk, spender) == (Decimal("0.2"), Decimal(2), 1)
    async with desk.database.api() as conn:
        texts = [(await revisions.load(conn, spender, number)).manifest_text for number in (1, 2)]
    assert texts[1] == texts[0].replace("run = 0.2", "run = 0.75").replace("day = 2.0", "day = 3")


@pytest.mark.parametrize(
    ("run", "day"),
    [
        ("-1", "2"),
        ("1", "-0.01"),
        ("x", "2"),
        ("", "2"),
        ("NaN", "2"),
        ("1", "Infinity"),
        ("1", "1e9"),
        ("0.00001", "2"),
        ("3", "2"),
    ],
)
async def test_nonsense_changes_nothing(desk: Desk, spender: agents.Agent, run: str, day: str) -> None:
    async with desk.client(spender.name) as client:
        body = {"revision": 1, "per_run": run, "per_day": day}
        assert (await client.put(f"/v1/agents/{spender.name}/budget", json=body)).status_code == 422
    async with await desk.browser(spender.name) as browser:
        form = page_forms.with_words(await browser.get("/costs"), "Set the caps")
        page = await page_forms.send(browser, form, run=run, day=day)
    assert page.status_code == 422
    assert "<details open><summary>Change the caps" in page.text
    assert 'role="alert"' in page.text
    again = page_forms.with_words(page, "Set the caps")
    assert (again.fields["run"], again.fields["day"]) == (run, day)
    assert await caps(desk, spender) == (Decimal("0.2"), Decimal(2), 1)


async def test_more_money_needs_the_scope_of_an_admin(desk: Desk, spender: agents.Agent) -> None:
    async with desk.database.api() as conn:
        owner = await owners.by_name(conn, spender.name)
        _, token = await owners.new_token(conn, owner, "small", frozenset(owners.SCOPES) - {"admin"}, None)
    body = {"revision": 1, "per_run": 9, "per_day": 99}
    async with desk.client(spender.name) as client:
        answer = await client.put(
            f"/v1/agents/{spender.name}/budget", json=body, headers={"authorization": f"Bearer {token}"}
        )
    assert answer.status_code == 403
    assert await caps(desk, spender) == (Decimal("0.2"), Decimal(2), 1)


async def test_the_form_says_what_was_before_and_is_acted_on_once(desk: Desk, spender: agents.Agent) -> None:
    async with await desk.browser(spender.name) as browser:
        form = page_forms.with_words(await browser.get("/costs"), "Set the caps")
        assert (form.fields["run"], form.fields["day"]) == ("0.2", "2.0")
        for _ in range(2):
            sent = await page_forms.send(browser, form, run="0.005", day="4")
            assert (sent.status_code, sent.headers["location"]) == (303, f"/costs?agent={spender.name}#main")
        page = await browser.get(sent.headers["location"])
        assert "may spend $0.005 on a run and $4.00 a day from now on. Before: $0.20 and $2.00" in page.text
        assert page_forms.with_words(page, "Set the caps").fields["run"] == "0.005"
        late = await page_forms.send(browser, form, run="1", day="4", key="another")
        assert late.status_code == 409
        assert "Revision 2 counts now" in late.text
    assert await caps(desk, spender) == (Decimal("0.005"), Decimal(4), 2)
