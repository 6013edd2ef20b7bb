"""Starting runs, stopping them, and doing them again."""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import duties, revisions
from pocketlet.agents import runs as all_runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.learning import compare, kinds
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint

MODEL = Annotated[str, pydantic.Field(max_length=200, description="`provider:name`.")]


class RunGiven(endpoint.Model):
    """What an agent is to work on. `input`: a mail, JSON or text. `outside`: somebody else wrote it, so it is material
    and no word of yours (mail always is). `dry`: it is only shown what the run would do; nothing is sent.
    """

    input: Annotated[str, pydantic.Field(min_length=1, max_length=1_000_000)]
    outside: bool = False
    dry: bool = False


class Again(endpoint.Model):
    """Whether only to show what the run would do. If not, what it sent before may be sent a second time."""

    dry: bool = True


class Other(endpoint.Model):
    """Another model."""

    model: Annotated[str, pydantic.Field(min_length=3, max_length=200)]


class RunStarted(endpoint.Model):
    """A run, and how it stands now."""

    run: int
    agent: str
    state: str


class Quote(endpoint.Model):
    """What a run's work would cost on `model`, at the tokens it used, beside what it cost. `listed`: whose price."""

    run: int
    model: str
    listed: str
    cost: Decimal
    forecast_usd: Decimal
    difference_usd: Decimal


async def start(caller: callers.Caller, agent: str, body: RunGiven) -> RunStarted:
    """Starts a run of the current revision."""
    raw = body.input.encode("utf-8", "replace")
    task = tasks.read(raw)
    task = replace(task, label="outside") if body.outside else task
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        return await _started(conn, found, task, raw, dry=body.dry)


async def stop(caller: callers.Caller, run: int) -> RunStarted:
    """Stops a run: at once if nobody works on it, else before its next act."""
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        return RunStarted(run=run, agent=agent.name, state=await kinds.stop(conn, run))


async def retry(caller: callers.Caller, run: int) -> RunStarted:
    """Lets a failed or stopped run go on from its last step."""
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        await kinds.retry(conn, run)
        return RunStarted(run=run, agent=agent.name, state=await all_runs.state(conn, run))


async def rerun(caller: callers.Caller, run: int, body: Again) -> RunStarted:
    """Does the task of a run again, as the agent works now: a new run of the current revision."""
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        found = await all_runs.load(conn, run)
        if found.kind != "run":
            hint = "Only runs of the agent's own job are done again."
            raise errors.Conflict(f"Run {run} is the {found.kind}'s own.", hint=hint)
        raw = await all_runs.raw(conn, run)
        return await _started(conn, agent, tasks.from_record(found.input), raw, dry=body.dry)


async def quote(caller: callers.Caller, run: int, *, model: MODEL = "") -> Quote:
    """Shows what the work of a run would cost on another model. Nothing is begun by it."""
    lookup = await duties.variables(caller.database, caller.config)
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        made = await compare.quote(conn, agent, run, model, lookup)
    more = made.after - made.before
    plain = {"cost": made.before, "forecast_usd": made.after, "difference_usd": more}
    return Quote(run=run, model=made.model, listed=made.listed, **plain)


async def replay(caller: callers.Caller, run: int, body: Other) -> RunStarted:
    """Does the work of a run on another model, with nothing sent; what was looked up then is told again."""
    lookup = await duties.variables(caller.database, caller.config)
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        made = await compare.quote(conn, agent, run, body.model, lookup)
        number = await compare.replay(conn, agent, await all_runs.load(conn, run), made)
        return RunStarted(run=number, agent=agent.name, state="queued")


async def _started(conn: pool.Conn, agent: agents.Agent, task: tasks.Task, raw: bytes, *, dry: bool) -> RunStarted:
    manifest = (await revisions.load(conn, agent, agent.current)).manifest
    number = await all_runs.create(conn, agent, task, raw, manifest, dry=dry)
    return RunStarted(run=number, agent=agent.name, state="queued")


ENDPOINTS = (
    endpoint.Endpoint("POST", "/agents/{agent}/runs", "run", start, status=201, keyed=True),
    endpoint.Endpoint("POST", "/runs/{run}/stop", "run", stop),
    endpoint.Endpoint("POST", "/runs/{run}/retry", "run", retry, keyed=True),
    endpoint.Endpoint("POST", "/runs/{run}/rerun", "run", rerun, status=201, keyed=True),
    endpoint.Endpoint("GET", "/runs/{run}/quote", "read", quote),
    endpoint.Endpoint("POST", "/runs/{run}/replay", "run", replay, status=201, keyed=True),
)
