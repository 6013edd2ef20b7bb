"""Cases: past runs that changes are tried on, what each must show, and which are always tried."""

from datetime import datetime
from typing import Annotated, Literal

import pydantic

from pocketlet.learning import cases as all_cases
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Number = Annotated[int, pydantic.Field(ge=1, lt=2**63, description="The number of a case.")]


class Case(endpoint.Model):
    """A past run that you said something of. `passes` of the `needed` in a row make it stable: from then on it holds up
    a change that breaks it, unless it is of the `audit` share. `accepted`: you called the run right. `reason` and
    `retired_by` (a feedback): why it counts no more. `assertions`: what its work must show, as sentences.
    """

    case: int
    run: int
    subject: str | None
    state: Literal["candidate", "stable", "quarantined", "retired"]
    passes: int
    needed: int
    accepted: bool
    pinned: bool
    audit: bool
    scope: dict[str, str]
    model: str | None
    reason: str | None
    retired_by: int | None
    assertions: list[str]
    created_at: datetime


class CasePin(endpoint.Model):
    """Whether every change that touches the case is tried on it, and none breaks it unasked."""

    pinned: bool


async def listing(
    caller: callers.Caller, agent: str, *, limit: paging.Limit = 50, cursor: paging.Cursor = ""
) -> endpoint.Page[Case]:
    """Lists the past runs that changes of an agent are tried on, the newest first."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        rows = await all_cases.listing(conn, found, below=paging.after(cursor), most=limit + 1)
    kept, following = paging.cut(rows, limit, "case")
    return endpoint.Page[Case](items=[Case(**row, needed=all_cases.PASSES) for row in kept], next=following)


async def pin(caller: callers.Caller, agent: str, case: Number, body: CasePin) -> endpoint.Done:
    """Pins a case, so that every change that touches it is tried on it, or takes that back."""
    async with caller.database.api() as conn:
        await all_cases.pin(conn, await callers.agent(conn, caller, agent), case, pinned=body.pinned)
    tried = "pinned: every change that touches it is tried on it, and none breaks it unasked"
    return endpoint.Done(said=f"Case {case} is {tried if body.pinned else 'no longer pinned'}.")


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/cases", "read", listing),
    endpoint.Endpoint("PUT", "/agents/{agent}/cases/{case}/pin", "approve", pin),
)
