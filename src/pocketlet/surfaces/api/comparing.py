"""Another model on past runs: what trying it would cost, trying it, and whether it is as right."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import pydantic

from pocketlet.agents import duties
from pocketlet.learning import compare, trials
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging, playbook, starting

Most = Annotated[int, pydantic.Field(ge=1, le=paging.MOST, description="Of the newest cases at most so many.")]


class ModelToTry(endpoint.Model):
    """The model to try, as `provider:name`, and on how many cases at most, the newest."""

    model: Annotated[str, pydantic.Field(min_length=3, max_length=200)]
    cases: Most = 20


class ReplaysQuote(endpoint.Model):
    """What it would cost (USD) to replay the cases on `model` instead of `current`, at the tokens of the recorded runs.
    `listed`: where the price is from.
    """

    agent: str
    revision: int
    current: str
    model: str
    listed: str
    cases: int
    forecast_usd: Decimal


class ReplaysBegun(ReplaysQuote):
    """The same, with the `runs` that are queued, and where to `look` for what comes of them."""

    runs: list[int]
    look: str


class CaseStanding(endpoint.Model):
    """How a case stands with one model. `source`: trial (its last replay on the revision) or recorded (the run itself).
    `failed`: what does not hold; `unknown`: what is not known.
    """

    verdict: Literal["pass", "fail", "unknown"]
    source: Literal["trial", "recorded"]
    run: int
    failed: list[str]
    unknown: list[str]
    cost_usd: Decimal


class CaseCompared(endpoint.Model):
    """A case on both models: same, better, worse or unknown."""

    case: int
    case_run: int
    subject: str | None
    verdict: Literal["same", "better", "worse", "unknown"]
    before: CaseStanding
    after: CaseStanding


class ModelsCompared(endpoint.Model):
    """What `model` made of cases, in its last replay of each, beside how they stood with `current`. `pending`: the runs
    that are under way. `per_task_usd`: before and after, over the cases that tell. `cost_usd`: of these replays.
    """

    agent: str
    revision: int
    current: str
    model: str
    cases: list[CaseCompared]
    counts: dict[str, int]
    pending: list[int]
    per_task_usd: dict[str, Decimal | None]
    cost_usd: Decimal


async def quote(caller: callers.Caller, agent: str, *, model: starting.MODEL = "", cases: Most = 20) -> ReplaysQuote:
    """Shows what replaying past runs on another model would cost. Nothing is begun by it."""
    lookup = await duties.variables(caller.database, caller.config)
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        made = await compare.plan(conn, found, model, most=cases, lookup=lookup, override=caller.config.model)
    return ReplaysQuote(**_quoted(agent, made))


async def begin(caller: callers.Caller, agent: str, body: ModelToTry) -> ReplaysBegun:
    """Replays past runs on another model, with nothing sent; the agent's day pays."""
    lookup = await duties.variables(caller.database, caller.config)
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        made = await compare.plan(conn, found, body.model, most=body.cases, lookup=lookup, override=caller.config.model)
        runs = [await trials.start(conn, found, one) for one in made.trials]
    asked = urlencode({"model": made.model, "revision": made.revision, "cases": body.cases})
    look = f"{endpoint.PREFIX}/agents/{agent}/comparison?{asked}"
    return ReplaysBegun(**_quoted(agent, made), runs=runs, look=look)


async def show(
    caller: callers.Caller,
    agent: str,
    *,
    model: starting.MODEL = "",
    revision: playbook.Choice = 0,
    cases: Most = 20,
) -> ModelsCompared:
    """Shows what another model made of past runs, case by case. Without `revision`: on the current one."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        number = revision or found.current
        told = await compare.last(conn, found, model, revision=number, override=caller.config.model, most=cases)
    rows = [row | {side: asdict(row[side]) for side in ("before", "after")} for row in told.pop("cases")]
    return ModelsCompared(
        agent=agent, revision=number, model=model, cases=[CaseCompared(**row) for row in rows], **told
    )


def _quoted(agent: str, made: compare.Plan) -> Mapping[str, Any]:
    plain = {name: getattr(made, name) for name in ("revision", "current", "model")}
    cost = sum(made.forecast.values(), Decimal(0))
    return plain | {"agent": agent, "listed": made.price.version, "cases": len(made.cases), "forecast_usd": cost}


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/comparison", "read", show),
    endpoint.Endpoint("GET", "/agents/{agent}/comparison/quote", "read", quote),
    endpoint.Endpoint("POST", "/agents/{agent}/comparison", "run", begin, status=202, keyed=True),
)
