"""The audit trail: what was decided and what owners changed, and whether it is as it was written. For the keeper."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import pydantic

from pocketlet.platform import audit as trail
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Name = Annotated[str, pydantic.Field(max_length=41, description="Of this agent alone, also if it is gone.")]
Run = Annotated[int, pydantic.Field(ge=0, lt=2**63, description="Of this run alone; 0: of all.")]


class AuditRow(endpoint.Model):
    """One row: who did what to what, and the rule that decided. Rows are for good."""

    row: int
    at: datetime
    actor: Literal["owner", "gate", "worker"]
    action: str
    subject: str
    agent: str | None
    run: int | None
    step: int | None
    verdict: str | None
    rule: str | None
    details: dict[str, Any]


class Anchors(endpoint.Model):
    """What `pocketlet audit anchor` printed, kept elsewhere: only that shows that the end was cut off or all was
    written anew.
    """

    anchors: list[Annotated[str, pydantic.Field(max_length=500)]] = pydantic.Field([], max_length=100)


class ChainEnd(endpoint.Model):
    """The last row that was found in order, by number and hash."""

    row: int
    hash: str


class Chain(endpoint.Model):
    """Whether every row is as it was written. `rows`: found in order; `broken`: the first that is not, and `why`."""

    ok: bool
    rows: int
    head: ChainEnd
    broken: int | None
    why: str


async def listing(
    caller: callers.Caller,
    *,
    agent: Name = "",
    run: Run = 0,
    limit: paging.Limit = 50,
    cursor: paging.Cursor = "",
) -> endpoint.Page[AuditRow]:
    """Lists what was decided and changed, the newest first. For the keeper."""
    caller.must_keep()
    below = paging.after(cursor)
    async with caller.database.api() as conn:
        rows = await trail.listing(conn, agent=agent or None, run_id=run or None, below=below, limit=limit + 1)
    kept, following = paging.cut(rows, limit, "id")
    return endpoint.Page[AuditRow](items=[_told(row) for row in kept], next=following)


def _told(row: Mapping[str, Any]) -> AuditRow:
    other = {"row": "id", "run": "run_id", "step": "step_seq"}
    return AuditRow(**{name: row[other.get(name, name)] for name in AuditRow.model_fields})


async def verify(caller: callers.Caller, body: Anchors) -> Chain:
    """Computes the hash chain again, and names the first row that is not as it was written. For the keeper."""
    caller.must_keep()
    marks = [mark for text in body.anchors for mark in trail.read_anchors(text)]
    async with caller.database.api() as conn:
        found = await trail.verify(conn, *marks)
    head = ChainEnd(row=found.head.id, hash=found.head.hash.hex())
    return Chain(ok=found.broken is None, rows=found.rows, head=head, broken=found.broken, why=found.why)


ENDPOINTS = (
    endpoint.Endpoint("GET", "/audit", "read", listing),
    endpoint.Endpoint("POST", "/audit/verify", "read", verify),
)
