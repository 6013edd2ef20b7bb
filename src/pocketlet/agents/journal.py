"""The journal: reading a run's steps back into the state of its conversation, and writing the next one.

It is the only checkpoint. A resumed run, a replay and the run page all fold the same rows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pocketlet.agents import briefing as briefings
from pocketlet.db import pool, queries
from pocketlet.platform.gateways import models

Q = queries.load("journal")


@dataclass(frozen=True, slots=True)
class Step:
    """A row of the journal. `kind`: model or tool. `label`: of the run once it has read this step."""

    seq: int
    kind: str
    tool: str | None
    request: Any
    response: Any
    error: str | None
    label: str
    meta: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class State:
    """Where a run stands: the turns so far, the calls of the last reply that have no result yet, the next number."""

    turns: tuple[models.Turn, ...]
    pending: tuple[models.ToolCall, ...]
    next_seq: int


async def read(conn: pool.Conn, run: int) -> list[Step]:
    """A run's steps, in order."""
    rows = await (await conn.execute(Q["read"], {"run": run})).fetchall()
    return [Step(**row) for row in rows]


async def write(conn: pool.Conn, run: int, fence: int, step: Step) -> None:
    """Adds a step, if the worker still holds the run. Raises errors.LostRun."""
    row = {
        name: getattr(step, name) for name in ("seq", "kind", "tool", "request", "response", "error", "label", "meta")
    }
    await conn.execute(Q["write"], {"run": run, "fence": fence, "step": pool.jsonb(row)})


def model_step(seq: int, reply: models.Reply, request_hash: str, label: str, seconds: float = 0) -> Step:
    """The step of a model's reply; `seconds` is how long it took, with the attempts before it."""
    calls = [{"id": call.id, "tool": call.name, "args": call.args, "raw": call.raw} for call in reply.calls]
    response = {"text": reply.text, "calls": calls, "finish": reply.finish, "message": reply.message}
    usage = {"input": reply.usage.input, "output": reply.usage.output, "cached": reply.usage.cached}
    meta = {"seconds": round(seconds, 3)}
    return Step(seq, "model", None, {"hash": request_hash}, response | {"usage": usage}, None, label, meta)


def as_stored(step: Step) -> Step:
    """The step as it will be read back: a resumed run must send the same bytes as one that was not interrupted."""
    return Step(**pool.in_order(asdict(step)))


def fold(steps: Sequence[Step]) -> State:
    """The conversation so far."""
    turns: list[models.Turn] = []
    pending: list[models.ToolCall] = []
    results: list[models.ToolResult] = []
    for step in steps:
        if step.kind == "model":
            results = []
            pending = [_call(call) for call in step.response["calls"]]
            turns.append(models.Turn(pool.in_order(step.response["message"]), ()))
        else:
            call = pending.pop(0)
            results.append(models.ToolResult(call.id, call.name, content(step)))
            said = turns[-1].reply
            if step.meta.get("edited"):  # else the model would try again what it had asked for
                said = models.with_args(said, call.id, step.request)
            turns[-1] = models.Turn(said, tuple(results))
    return State(tuple(turns), tuple(pending), len(steps) + 1)


def replay(briefing: briefings.Briefing, steps: Sequence[Step]) -> list[str]:
    """The hash of every request that a run with these steps made of its model, built anew: no model, no database.

    They are the hashes that its model steps hold, or the run can't be told by its record.
    """
    asked = [fold(steps[:index]).turns for index, step in enumerate(steps) if step.kind == "model"]
    requests = [models.canonical(briefing.request(turns), briefing.model) for turns in asked]
    return [hashlib.sha256(request).hexdigest() for request in requests]


def content(step: Step) -> str:
    """What a tool's step tells the model."""
    return f"error: {step.error}" if step.error else str(step.response)


def _call(call: dict[str, Any]) -> models.ToolCall:
    return models.ToolCall(call["id"], call["tool"], call["args"], call["raw"])
