"""Costs: where the money went, what the caps are, what a month will cost, and what another model would have cost."""

import datetime as dates
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pydantic

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import budgeting, revisions
from pocketlet.agents.waking import forecast
from pocketlet.db import pool, queries
from pocketlet.learning import adoption
from pocketlet.platform import ledger, prices
from pocketlet.platform.gateways import endpoints, models
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, playbook, runs

Q = queries.load("costs")
Days = Annotated[int, pydantic.Field(ge=1, le=366, description="UTC days, today included.")]
DEAREST = 8  # runs that are named
Usd = Annotated[Decimal, pydantic.Field(ge=0, lt=10**9, decimal_places=4)]
LONGEST = 2**31 - 1  # tokens; no call has as many
#: In plain words, what a cap does.
AT_THE_CAP = (
    "The model call that would pass a cap is not made: the run fails, says so, and can be retried. The day's cap "
    "begins anew at 0:00 UTC."
)


class Spent(endpoint.Model):
    """What one agent, model or kind of run cost. `uncertain`: the worst case of calls whose answer was lost. USD."""

    name: str
    cost: Decimal
    uncertain: Decimal
    runs: int
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int


class Day(endpoint.Model):
    """One UTC day."""

    day: dates.date
    cost: Decimal
    runs: int


class Cap(endpoint.Model):
    """An agent's caps in USD; `learning` is for what one word of yours sets off. `then`: what happens at the cap.
    `revision`: the current one, which says them.
    """

    agent: str
    revision: int
    per_run: Decimal
    per_day: Decimal
    learning: Decimal
    spent_today: Decimal
    reserved_today: Decimal
    then: str


class Budget(endpoint.Model):
    """What an agent may spend on a run and in a UTC day, in USD. `revision`: the current one, as you were shown it."""

    revision: playbook.Number
    per_run: Usd
    per_day: Usd


class BudgetChanged(endpoint.Model):
    """The revision that says so, and counts, and what the caps were before."""

    said: str
    revision: int
    per_run_before: Decimal
    per_day_before: Decimal


class Useful(endpoint.Model):
    """`useful`: runs that did their work and were not judged wrong. `each`: all that the agent cost, learning and
    failures included, by these; null if there is none.
    """

    agent: str
    runs: int
    useful: int
    spent: Decimal
    each: Decimal | None


class Expected(endpoint.Model):
    """What a trigger, or work beside the triggers, will cost in 30 days; null: it has not run yet."""

    agent: str
    what: str
    slots: int | None
    runs: int | None
    each: Decimal | None
    cost: Decimal | None


class Dear(endpoint.Model):
    """A run that cost much."""

    run: int
    agent: str
    kind: str
    title: str
    cost: Decimal


class Costs(endpoint.Model):
    """All in USD. `forecast_total`: of what has a figure."""

    days: int
    total: Decimal
    uncertain: Decimal
    today: Decimal
    agents: list[Spent]
    models: list[Spent]
    kinds: list[Spent]
    by_day: list[Day]
    caps: list[Cap]
    useful: list[Useful]
    dearest: list[Dear]
    forecast: list[Expected]
    forecast_total: Decimal


class Elsewhere(endpoint.Model):
    """The same work on another model: the tokens of your agents' own runs, at its price per million. Nothing is taken
    to be cached, and other models write more or fewer tokens. `known`: where the price is from.
    """

    model: str
    known: str
    input_price: Decimal
    output_price: Decimal
    runs: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_now: Decimal
    cost_there: Decimal


async def show(caller: callers.Caller, *, agent: str = "", days: Days = 30) -> Costs:
    """Shows where the money went, the caps, the cost of a useful run, and the next 30 days."""
    now = clock.now()
    since = _since(now, days)
    async with caller.database.api() as conn:
        found = [await callers.agent(conn, caller, agent)] if agent else await callers.everyone(conn, caller)
        values = _values(caller, since, found[0].id if agent else None)
        spent = await (await conn.execute(Q["spent"], values)).fetchall()
        by_day = await (await conn.execute(Q["days"], values)).fetchall()
        dearest = await (await conn.execute(Q["dearest"], values | {"limit": DEAREST})).fetchall()
        caps = [await _cap(conn, one, now) for one in found]
        useful = [await _useful(conn, one, since) for one in found]
        expected = [_expected(row) for one in found for row in await forecast.month(conn, one.id)]
    total = next((row for row in spent if row["by"] == "total"), {"cost": Decimal(0), "uncertain": Decimal(0)})
    return Costs(
        days=days,
        total=total["cost"],
        uncertain=total["uncertain"],
        today=by_day[-1]["cost"] if by_day else Decimal(0),
        agents=_by(spent, "agent"),
        models=_by(spent, "model"),
        kinds=_by(spent, "kind"),
        by_day=[Day(**row) for row in by_day],
        caps=caps,
        useful=useful,
        dearest=[Dear(title=runs.title(row), **{name: row[name] for name in DEAR}) for row in dearest],
        forecast=expected,
        forecast_total=sum((one.cost or Decimal(0) for one in expected), Decimal(0)),
    )


DEAR = ("run", "agent", "kind", "cost")


async def elsewhere(caller: callers.Caller, *, model: str = "", agent: str = "", days: Days = 30) -> Elsewhere:
    """Shows what the same work would have cost on another model: the tokens it took, at that model's list price."""
    price = _listed(model)
    tiers = _tiers(price)
    values = _values(caller, _since(clock.now(), days), None)
    values["lengths"] = [above + 1 for above, _ in tiers[1:]] + [LONGEST]
    async with caller.database.api() as conn:
        if agent:
            values["agent"] = (await callers.agent(conn, caller, agent)).id
        rows = await (await conn.execute(Q["observed"], values)).fetchall()
        counted = await (await conn.execute(Q["observed_runs"], values)).fetchone()
    there = [prices.cost(tiers[int(row["tier"])][1], models.Usage(row["input"], row["output"], 0)) for row in rows]
    return Elsewhere(
        model=model.strip(),
        known=price.version,
        input_price=price.input,
        output_price=price.output,
        runs=counted["runs"] if counted else 0,
        calls=sum(row["calls"] for row in rows),
        input_tokens=sum(row["input"] for row in rows),
        output_tokens=sum(row["output"] for row in rows),
        cost_now=sum((row["cost"] for row in rows), Decimal(0)),
        cost_there=sum(there, Decimal(0)),
    )


async def budget(caller: callers.Caller, agent: str, body: Budget) -> BudgetChanged:
    """Sets what an agent may spend on one run and in a day: a new revision of agent.toml, which counts at once."""
    if body.per_run > body.per_day:
        raise errors.BadInput(
            "A run can't spend more than its day may.", hint="Raise the day's cap, or lower the run's."
        )
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        old = await revisions.load(conn, found, body.revision)
        made = budgeting.put(old.manifest_text, body.per_run, body.per_day)
        reason = f"at most {_usd(body.per_run)} a run and {_usd(body.per_day)} a day"
        number = await adoption.set_up(conn, found, body.revision, made, reason)
    before = old.manifest.budget
    said = f"{agent} may spend {_usd(body.per_run)} on a run and {_usd(body.per_day)} a day from now on."
    return BudgetChanged(
        said=f"{said} Before: {_usd(before['run'])} and {_usd(before['day'])} (revision {body.revision}).",
        revision=number,
        per_run_before=before["run"],
        per_day_before=before["day"],
    )


def _usd(value: Decimal) -> str:
    """To a cent, or as exactly as it was said."""
    return f"${value:.2f}" if value == round(value, 2) else f"${value.normalize():f}"


def _since(now: datetime, days: int) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)


def _values(caller: callers.Caller, since: datetime, agent: int | None) -> dict[str, Any]:
    return {"owner": caller.owner.id, "keeper": caller.owner.keeper, "since": since, "agent": agent}


def _by(rows: list[dict[str, Any]], what: str) -> list[Spent]:
    return [Spent(**{name: row[name] for name in Spent.model_fields}) for row in rows if row["by"] == what]


async def _cap(conn: pool.Conn, agent: agents.Agent, now: datetime) -> Cap:
    budget = (await revisions.load(conn, agent, agent.current)).manifest.budget
    row = await (await conn.execute(Q["today"], {"agent": agent.id, "day": now.date().isoformat()})).fetchone()
    return Cap(
        agent=agent.name,
        revision=agent.current,
        per_run=budget["run"],
        per_day=budget["day"],
        learning=await ledger.learning_allowance(conn, agent.id, budget),
        spent_today=row["spent"] if row else Decimal(0),
        reserved_today=row["reserved"] if row else Decimal(0),
        then=AT_THE_CAP,
    )


async def _useful(conn: pool.Conn, agent: agents.Agent, since: datetime) -> Useful:
    row = await (await conn.execute(Q["useful"], {"agent": agent.id, "since": since})).fetchone()
    counts: Mapping[str, Any] = row or {"runs": 0, "useful": 0, "spent": Decimal(0)}
    each = counts["spent"] / counts["useful"] if counts["useful"] else None
    return Useful(agent=agent.name, runs=counts["runs"], useful=counts["useful"], spent=counts["spent"], each=each)


def _expected(row: Mapping[str, Any]) -> Expected:
    return Expected(
        agent=row["agent"],
        what=row["what"],
        slots=row["slots"],
        runs=row["runs"],
        each=row["usd_a_run"],
        cost=row["usd"],
    )


def _listed(model: str) -> prices.Price:
    """A model's price at its provider's own address. Raises errors.BadSetting, errors.NotFound."""
    try:
        found = endpoints.resolve(model, lambda name: endpoints.PLACEHOLDER_KEY if name.endswith("_KEY") else None)
        return prices.price_of(found, None)
    except errors.UnknownPrice as error:
        hint = "Write it as its provider does: openai:gpt-5-mini, say."
        raise errors.NotFound("The price table does not know this model.", hint=hint) from error


def _tiers(price: prices.Price) -> list[tuple[int, prices.Price]]:
    """Above how many input tokens which price holds, the shortest calls first."""
    found = [(0, replace(price, longer=None))]
    while price.longer is not None:
        found.append((price.longer_above, replace(price.longer, longer=None)))
        price = price.longer
    return found


ENDPOINTS = (
    endpoint.Endpoint("GET", "/costs", "read", show),
    endpoint.Endpoint("GET", "/costs/elsewhere", "read", elsewhere),
    endpoint.Endpoint("PUT", "/agents/{agent}/budget", "admin", budget),
)
