"""Replays of past runs: on a revision by your own wish, and how each came out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pocketlet.learning import trials as replays
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import cases, endpoint, paging, playbook


class ReplaysWanted(endpoint.Model):
    """Which cases: all that can be tried, those of the `audit` share, which never hold a change up, or one `case`."""

    audit: bool = False
    case: cases.Number | None = None


class ReplaysStarted(endpoint.Model):
    """The `runs` that are queued, one a case, and where to `look` for what comes of them."""

    agent: str
    revision: int
    purpose: Literal["audit", "compare"]
    runs: list[int]
    look: str


class Replay(endpoint.Model):
    """A case, replayed as `run`, with nothing sent. `purpose`: audit or compare (you asked for it), else the gate's.
    `verdict`: pass, fail (what does not hold is in `failed`), unknown (why is in `unknown`), or pending.
    """

    case: int
    case_run: int
    subject: str | None
    run: int
    purpose: Literal["trigger", "before", "regression", "admission", "audit", "compare"]
    model: str | None
    verdict: Literal["pass", "fail", "unknown", "pending"]
    failed: list[str]
    unknown: list[str]
    cost: Decimal


async def begin(caller: callers.Caller, agent: str, revision: playbook.Number, body: ReplaysWanted) -> ReplaysStarted:
    """Replays past runs on a revision, with nothing sent and nothing decided; the agent's day pays.

    It may be a draft, the current one or an earlier one, which is judged by what counts today.
    """
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        wanted = await replays.by_hand(conn, found, revision, audit=body.audit, case=body.case)
        runs = [await replays.start(conn, found, one) for one in wanted]
    look = f"{endpoint.PREFIX}/agents/{agent}/revisions/{revision}/trials"
    return ReplaysStarted(
        agent=agent, revision=revision, purpose="audit" if body.audit else "compare", runs=runs, look=look
    )


async def listing(
    caller: callers.Caller,
    agent: str,
    revision: playbook.Number,
    *,
    limit: paging.Limit = 50,
    cursor: paging.Cursor = "",
) -> endpoint.Page[Replay]:
    """Lists how past runs came out on a revision, the newest replay first."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        rows = await replays.listing(conn, found, revision=revision, below=paging.after(cursor), most=limit + 1)
    kept, following = paging.cut(rows, limit, "run")
    return endpoint.Page[Replay](items=[_replay(row) for row in kept], next=following)


def _replay(row: Mapping[str, Any]) -> Replay:
    names = ("case", "case_run", "subject", "run", "purpose", "model", "verdict")
    evidence = row["evidence"]
    told = {name: evidence.get(name, []) for name in ("failed", "unknown")}
    return Replay(**{name: row[name] for name in names}, **told, cost=row["cost_usd"])


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/revisions/{revision}/trials", "read", listing),
    endpoint.Endpoint("POST", "/agents/{agent}/revisions/{revision}/trials", "run", begin, status=202, keyed=True),
)
