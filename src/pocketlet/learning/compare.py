"""Another model on the same work: what trying it would cost, and, case by case, whether it is as right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import revisions, runs, thinking
from pocketlet.db import pool, queries
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases, trials
from pocketlet.platform import ledger, prices
from pocketlet.platform.gateways import endpoints, models

Q = queries.load("compare")
FEWER = "Compare fewer cases (`--cases N`), or raise `budget` in agent.toml and `pocketlet agent import --replace DIR`."


@dataclass(frozen=True, slots=True)
class Standing:
    """How a case stands with one model: pass, fail or unknown, what does not hold or is not known, and USD.

    `source`: trial (the last one on what is in force) or recorded (the run itself).
    """

    verdict: str
    source: str
    run: int
    failed: tuple[str, ...]
    unknown: tuple[str, ...]
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be replayed, with how each case stands on the model in use, and what it will cost (USD) by case."""

    revision: int
    current: str
    model: str
    price: prices.Price
    cases: tuple[cases.Case, ...]
    before: Mapping[int, Standing]
    forecast: Mapping[int, Decimal]

    @property
    def trials(self) -> list[trials.Trial]:
        """The replays, as the owner's own wish: no learning budget pays."""
        return [trials.Trial(self.revision, self.revision, case.id, "compare", model=self.model) for case in self.cases]


async def plan(
    conn: pool.Conn,
    agent: agents.Agent,
    model: str,
    *,
    most: int,
    lookup: Callable[[str], str | None],
    override: str | None,
) -> Plan:
    """The newest `most` cases on `model`; `override` is POCKETLET_MODEL, `lookup` gives a provider's variable.

    Raises errors.BadSetting, errors.NoModel, errors.UnknownPrice, errors.OverBudget, errors.NotFound: all before
    anything runs.
    """
    manifest = (await revisions.load(conn, agent, agent.current)).manifest
    endpoint = endpoints.resolve(model, lookup)
    price = thinking.price_for(endpoint, manifest)
    found = (await cases.open_cases(conn, agent))[:most]
    if not found:
        raise errors.NotFound(f"{agent.name} has no cases yet.", hint="Each run that you give feedback on becomes one.")
    forecast = await _forecast(conn, found, price)
    await _check_budget(conn, agent, manifest.budget, list(forecast.values()))
    current = override or manifest.model
    before = {case.id: await _standing(conn, case, agent.current, current) for case in found}
    return Plan(agent.current, current, endpoint.model, price, tuple(found), before, forecast)


async def _forecast(conn: pool.Conn, found: Sequence[cases.Case], price: prices.Price) -> dict[int, Decimal]:
    """By case, at the tokens of its recorded run; nothing is taken to be cached."""
    by_run = {case.run: case.id for case in found}
    needed = dict.fromkeys(by_run.values(), Decimal(0))
    for row in await (await conn.execute(Q["calls"], {"runs": list(by_run)})).fetchall():
        needed[by_run[row["run"]]] += prices.cost(price, models.Usage(row["input_tokens"], row["output_tokens"], 0))
    return needed


@dataclass(frozen=True, slots=True)
class Quote:
    """What one run's work would cost on another model, at the tokens of its recorded calls, beside what it cost (USD).

    `listed`: where the price is from.
    """

    model: str
    listed: str
    before: Decimal
    after: Decimal


async def quote(
    conn: pool.Conn, agent: agents.Agent, run: int, model: str, lookup: Callable[[str], str | None]
) -> Quote:
    """Nothing is begun by it. Raises errors.BadSetting, errors.NoModel, errors.UnknownPrice."""
    endpoint = endpoints.resolve(model, lookup)
    price = thinking.price_for(endpoint, (await revisions.load(conn, agent, agent.current)).manifest)
    rows = await (await conn.execute(Q["calls"], {"runs": [run]})).fetchall()
    calls = [models.Usage(row["input_tokens"], row["output_tokens"], 0) for row in rows]
    after = sum((prices.cost(price, usage) for usage in calls), Decimal(0))
    return Quote(endpoint.model, price.version, (await ledger.of_run(conn, run))["cost_usd"], after)


async def replay(conn: pool.Conn, agent: agents.Agent, run: runs.Run, made: Quote) -> int:
    """Queues the run's work once more on that model, with nothing sent: what it looked up then is told again. Its run.

    Raises errors.Conflict, errors.OverBudget.
    """
    if run.kind != "run" or run.state not in runs.AT_REST:
        raise errors.Conflict(f"Run {run.id} can't be done again now.", hint="Only a run that ended its work can be.")
    budget = (await revisions.load(conn, agent, agent.current)).manifest.budget
    await _check_budget(conn, agent, budget, [made.after])
    case = await cases.keep(conn, agent, run.id)
    draft = max(run.revision, agent.current)
    return await trials.start(conn, agent, trials.Trial(run.revision, draft, case, "compare", model=made.model))


async def _check_budget(
    conn: pool.Conn, agent: agents.Agent, budget: Mapping[str, Decimal], needed: Sequence[Decimal]
) -> None:
    since = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    row = await (await conn.execute(Q["spent"], {"agent": agent.id, "since": since})).fetchone()
    left = budget["day"] - (row["usd"] if row else 0)
    for what, usd, allowed in (("One of them", max(needed), budget["run"]), ("They", sum(needed), left)):
        if usd > allowed or not budget["day"]:
            said = f"{what} would cost about {usd:.4f} USD, and the budget has {max(allowed, Decimal(0)):.4f} USD left."
            raise errors.OverBudget(said, hint=FEWER)


async def _standing(conn: pool.Conn, case: cases.Case, revision: int, model: str, below: int | None = None) -> Standing:
    """The work of the last trial with the revision (before a run), or else of the recorded run, judged as of today."""
    values = {"case": case.id, "revision": revision, "model": model, "below": below}
    row = await (await conn.execute(Q["last_trial"], values)).fetchone()
    run = row["run"] if row else case.run
    wanted = await cases.assertions(conn, case.id, revision)
    failed = tuple(asserting.failing(wanted, await cases.work_of(conn, run)))
    unknown = () if wanted else ("nothing is known that its work must show",)
    verdict = "unknown" if unknown else "fail" if failed else "pass"
    cost = (await ledger.of_run(conn, run))["cost_usd"]
    return Standing(verdict, "trial" if row else "recorded", run, failed, unknown, cost)


async def report(conn: pool.Conn, agent: agents.Agent, made: Plan, started: Sequence[int]) -> dict[str, Any]:
    """By case: same, better, worse or unknown, and both standings; the counts of these; and USD per task on both."""
    tried = [row for row in await trials.of_draft(conn, agent, made.revision) if row["run"] in started]
    return _compared(tried, made.before) | {"forecast_usd": sum(made.forecast.values())}


async def last(
    conn: pool.Conn, agent: agents.Agent, model: str, *, revision: int, override: str | None, most: int
) -> dict[str, Any]:
    """The same of what `model` replayed last of the newest `most` cases, without a forecast; `pending`: the runs of
    those that are under way; `current`: the model that it is held against.
    """
    current = override or (await revisions.load(conn, agent, revision)).manifest.model
    tried: dict[int, dict[str, Any]] = {}
    for row in await trials.listing(conn, agent, revision=revision):
        if (row["purpose"], row["model"]) == ("compare", model):
            tried.setdefault(row["case"], row)
    found = [case for case in (await cases.open_cases(conn, agent))[:most] if case.id in tried]
    before = {case.id: await _standing(conn, case, revision, current, tried[case.id]["run"]) for case in found}
    rows = [tried[case.id] for case in found]
    pending = [row["run"] for row in rows if row["verdict"] == "pending"]
    return _compared([row for row in rows if row["run"] not in pending], before) | {
        "pending": pending,
        "current": current,
    }


def _compared(tried: Sequence[Mapping[str, Any]], before: Mapping[int, Standing]) -> dict[str, Any]:
    found = [_told(row, before[row["case"]]) for row in tried]
    compared = [row for row in found if row["verdict"] != "unknown"]
    counts = {word: sum(row["verdict"] == word for row in found) for word in ("same", "better", "worse", "unknown")}
    return {
        "cases": found,
        "counts": counts,
        "per_task_usd": {
            side: sum(row[side].cost_usd for row in compared) / len(compared) if compared else None
            for side in ("before", "after")
        },
        "cost_usd": sum(row["cost_usd"] for row in tried),
    }


def _told(row: Mapping[str, Any], before: Standing) -> dict[str, Any]:
    failed, unknown = outcome(row)
    verdict = row["verdict"] if row["verdict"] in ("pass", "fail") else "unknown"
    after = Standing(verdict, "trial", row["run"], failed, unknown, row["cost_usd"])
    told = {name: row[name] for name in ("case", "case_run", "subject")}
    return told | {"verdict": word(before.verdict, after.verdict), "before": before, "after": after}


def outcome(row: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What does not hold, and what is not known, of a trial that rests."""
    if row["verdict"] == "pending":
        return (), ("it was stopped",)
    return tuple(row["evidence"]["failed"]), tuple(row["evidence"]["unknown"])


def word(before: str, after: str) -> str:
    """Two verdicts on the same case in one word."""
    if "unknown" in (before, after):
        return "unknown"
    if before == after:
        return "same"
    return "better" if after == "pass" else "worse"
