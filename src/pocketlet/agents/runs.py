"""Runs as rows: made, claimed, shown, stopped, tried again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.platform import notices

Q = queries.load("runs")
#: What to do instead of trying a run again that is in this state.
NO_RETRY = {
    "running": "A worker is at it: `pocketlet show {0}`. If that one was killed, another takes it up within seconds.",
    "waiting": "`pocketlet approvals` shows what it waits for.",
    "queued": "It goes on by itself as soon as there is a worker: `pocketlet up`.",
}
AT_REST = ("waiting", "done", "failed", "stopped")


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the loop needs it. `fence` is the worker's claim; `kind`: run, manager, trial or chat.

    `dry`: what it wants to do outside is captured, and not done. `recoveries`: workers that it lost in a row, without a
    step in between.
    """

    id: int
    agent_id: int
    kind: str
    revision: int
    state: str
    input: dict[str, Any]
    facts: dict[str, str]
    label: str
    briefing: dict[str, Any] | None
    fence: int
    stop_requested: bool
    feedback_id: int | None
    case_id: int | None
    curation: int | None
    model: str | None
    dry: bool
    recoveries: int


async def create(
    conn: pool.Conn,
    agent: agents.Agent,
    task: tasks.Task,
    raw: bytes,
    manifest: manifests.Manifest,
    *,
    dry: bool = False,
) -> int:
    """A run of the current revision, queued in the same transaction; its number."""
    return await insert(
        conn,
        {
            "agent": agent.id,
            "kind": "run",
            "revision": agent.current,
            "input": task.record(),
            "raw": raw,
            "facts": tasks.facts(task, manifest),
            "label": task.label,
            "dry": dry or manifest.dry_run,
        },
    )


async def insert(conn: pool.Conn, values: Mapping[str, Any]) -> int:
    """Any kind of run, queued in the same transaction; its number."""
    defaults: dict[str, Any] = {"raw": None, "facts": {}, "feedback": None, "case": None, "model": None}
    defaults |= {"curation": None, "dry": False}
    row = defaults | dict(values)
    row |= {"input": pool.jsonb(row["input"]), "facts": pool.jsonb(row["facts"])}
    made = await (await conn.execute(Q["create"], row)).fetchone()
    number = made["id"] if made else 0
    await conn.execute(Q["enqueue"], {"run": number})
    return number


async def claim(conn: pool.Conn, number: int, worker: int) -> Run | None:
    """Takes the run for this worker; None if there is nothing to do on it."""
    row = await (await conn.execute(Q["claim"], {"run": number, "worker": worker})).fetchone()
    if row is None or row["fence"] is None:
        return None
    return await load(conn, number)


async def load(conn: pool.Conn, number: int) -> Run:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["load"], {"run": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no run {number}.", hint="`pocketlet runs AGENT` lists them.")
    return Run(**row)


async def raw(conn: pool.Conn, number: int) -> bytes:
    """The run's input, byte for byte as it came."""
    row = await (await conn.execute(Q["raw"], {"run": number})).fetchone()
    return bytes(row["raw"]) if row and row["raw"] else b""


async def rest(conn: pool.Conn, run: Run, state: str, **facts: object) -> None:
    """Parks or ends a run that this worker holds. `facts`: outcome, result, error, hint, exit_code."""
    await conn.execute(Q["rest"], {"run": run.id, "fence": run.fence, "state": state, "facts": pool.jsonb(facts)})
    if state != "waiting":
        await _over(conn, run.id, "it ended")


async def _over(conn: pool.Conn, number: int, how: str) -> None:
    """What was told of the run itself is over: nobody needs to look after it any more, or somebody has."""
    for what in ("stalled", "quarantined"):
        await notices.resolve(conn, notices.of_run(number, what), how)


async def put_off(conn: pool.Conn, run: Run, until: datetime, why: str) -> None:
    """Lays a run that this worker holds aside: it is queued for `until`. Raises errors.LostRun."""
    await conn.execute(Q["put_off"], {"run": run.id, "fence": run.fence, "until": until, "why": why})


@dataclass(frozen=True, slots=True)
class Held:
    """How a held run stands: whether it was asked to stop, and the seconds until its deadline."""

    stop: bool
    left: float


async def hold(conn: pool.Conn, run: Run) -> Held:
    """Locks the run for this transaction. Raises errors.LostRun."""
    row = await (await conn.execute(Q["hold"], {"run": run.id, "fence": run.fence})).fetchone()
    return Held(bool(row and row["stop"]), row["left"] if row and row["left"] is not None else math.inf)


async def begin(conn: pool.Conn, run: Run, seconds: float) -> None:
    """Its time runs from now, if it does not yet."""
    await conn.execute(Q["begin"], {"run": run.id, "fence": run.fence, "seconds": seconds})


async def has_slot(conn: pool.Conn, number: int) -> bool:
    """Whether a trigger started it, and so tells the owner if it fails."""
    return await (await conn.execute(Q["has_slot"], {"run": number})).fetchone() is not None


async def start_briefing(conn: pool.Conn, run: Run, record: Mapping[str, object]) -> None:
    """Stores the briefing that the run will keep: record, hash, overhead, lessons, model. Raises errors.LostRun."""
    values = {"run": run.id, "fence": run.fence, **record, "briefing": pool.jsonb(record["briefing"])}
    if (await conn.execute(Q["start_briefing"], values)).rowcount == 0:
        raise errors.LostRun


async def wake(conn: pool.Conn, number: int) -> None:
    """Queues a run that was waiting."""
    await conn.execute(Q["enqueue"], {"run": number})


async def stop(conn: pool.Conn, number: int) -> str:
    """Asks a run to stop: at once if nobody works on it, else before its next act. The state it is in now."""
    await load(conn, number)
    row = await (await conn.execute(Q["stop"], {"run": number})).fetchone()
    if row is None:
        raise errors.Conflict(f"Run {number} is at rest already.", hint=f"See `pocketlet show {number}`.")
    if row["state"] == "stopped":
        await _over(conn, number, "it was stopped")
    return row["state"]


async def retry(conn: pool.Conn, number: int) -> None:
    """Lets a failed or stopped run go on from its journal. Raises errors.Conflict for any other."""
    run = await load(conn, number)
    row = await (await conn.execute(Q["retry"], {"run": number})).fetchone()
    if row is None:
        raise errors.Conflict(
            f"Run {number} is {run.state}; only a failed or stopped one can be tried again.",
            hint=NO_RETRY.get(run.state, "Start a new run with `pocketlet run AGENT --input FILE`.").format(number),
        )
    await _over(conn, number, "it is tried again")
    await conn.execute(Q["enqueue"], {"run": number})


async def listing(conn: pool.Conn, agent: agents.Agent, limit: int) -> list[dict[str, Any]]:
    """The newest runs of an agent, with their cost."""
    return list(await (await conn.execute(Q["listing"], {"agent": agent.id, "limit": limit})).fetchall())


async def state(conn: pool.Conn, number: int) -> str:
    """The state that a run is in now."""
    row = await (await conn.execute(Q["state"], {"run": number})).fetchone()
    return row["state"] if row else "removed"


async def ending(conn: pool.Conn, number: int) -> dict[str, Any]:
    """How a run stands: state, outcome, result, error, hint, exit_code. Raises errors.NotFound."""
    row = await (await conn.execute(Q["ending"], {"run": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no run {number}.", hint="`pocketlet runs AGENT` lists them.")
    return dict(row)


async def briefing_hash(conn: pool.Conn, number: int) -> str:
    """The hash of the run's briefing; empty before it has one."""
    row = await (await conn.execute(Q["briefing_hash"], {"run": number})).fetchone()
    return (row["briefing_hash"] if row else "") or ""


async def started_by(conn: pool.Conn, message_id: str) -> list[int]:
    """Runs that the mail with this Message-ID started."""
    rows = await (await conn.execute(Q["started_by"], {"message_id": message_id})).fetchall()
    return [row["id"] for row in rows]


async def add_result(conn: pool.Conn, agent: agents.Agent, run: Run, result: Mapping[str, object]) -> None:
    """The run's result, where later runs find it: outcome, entity, subject, summary."""
    values = {"run": run.id, "label": run.label, "agent_id": agent.id, **result}
    await conn.execute(queries.named(Q["add_result"], schema=agent.name), values)
