"""Feedback: what you say of a run, and what becomes of it: the draft, its replays, the gate's verdict."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import report, runs
from pocketlet.db import pool, queries
from pocketlet.learning import cases, corrections, thread
from pocketlet.learning import feedback as feedbacks
from pocketlet.platform import ledger
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import changes, endpoint, paging

Q = queries.load("feedback_page")
LONGEST = 100_000  # characters of an edited text
LONGEST_COMMENT = feedbacks.MAX_COMMENT
ON_ONE_RUN = 50  # words on a run that are shown with it
Verdict = Literal["right", "change", "wrong"]
Stage = Literal["waits", "drafting", "trying", "asks", "counts", "taken-back", "discarded", "failed", "ended"]
#: What to do next, by the stage.
NEXT: Mapping[str, str] = {
    "waits": "The manager takes it up after what it is learning now.",
    "drafting": "The manager drafts a change.",
    "trying": "The draft is tried on past runs. You may decide without waiting.",
    "asks": "Look at the change and its replays, then accept or discard it.",
    "counts": "New runs follow it. You can go back at any time.",
    "taken-back": "New runs do not follow it any more. It can count again at any time.",
    "discarded": "If something should still change, say it more precisely.",
    "failed": "See what went wrong, then try the manager's run again.",
    "ended": "Nothing else has changed.",
}


class FeedbackWord(endpoint.Model):
    """What you say of a run. `edited`: its output as you would have written it, which says most. `step`: the one that
    it is about. `memory`: a memory that is wrong; `edited` or `comment` takes its place at once, and with neither it is
    forgotten.
    """

    verdict: Verdict
    comment: str = pydantic.Field("", max_length=LONGEST_COMMENT)
    edited: str | None = pydantic.Field(None, max_length=LONGEST)
    step: int | None = pydantic.Field(None, ge=0, lt=2**31)
    memory: int | None = pydantic.Field(None, ge=1, lt=2**63)


class Feedback(endpoint.Model):
    """One feedback. `source`: owner, reply (to a notice), sent (what really went out) or backtest. `outcome`: what
    became of it; null while the manager is at it. `curation`: the manager's run.
    """

    feedback: int
    run: int | None
    subject: str | None
    verdict: Verdict
    comment: str
    edited: str | None
    step: int | None
    memory: int | None
    source: str
    at: datetime
    outcome: str | None
    curation: int | None


class Curation(endpoint.Model):
    """The manager's run that takes the feedback up."""

    run: int
    state: str
    error: str | None
    hint: str | None
    cost: Decimal


class FeedbackStanding(endpoint.Model):
    """How a feedback stands. `stage`: waits (for another curation), drafting, trying, asks (it waits for you), counts,
    taken-back, discarded, failed, or ended without a change. `moving`: runs that are under way for it. `next`: what to
    do.
    """

    agent: str
    given: Feedback
    stage: Stage
    moving: list[int]
    curation: Curation | None
    change: changes.Change | None
    cost: Decimal
    next: str


class FeedbackStep(endpoint.Model):
    """A step of a run that can be spoken of."""

    step: int
    kind: str
    tool: str | None


class Output(endpoint.Model):
    """What a run made, and what was said of it, the newest first. `output`: its last mail, or its result. `ready`:
    whether something can be said now.
    """

    agent: str
    run: int
    revision: int
    state: str
    ready: bool
    subject: str | None
    to: str | None
    output: str
    steps: list[FeedbackStep]
    given: list[Feedback]


async def listing(
    caller: callers.Caller, agent: str, *, limit: paging.Limit = 50, cursor: paging.Cursor = ""
) -> endpoint.Page[Feedback]:
    """Lists all that was said of an agent's runs and memories, the newest first."""
    below = paging.after(cursor)
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        rows = await _given(conn, found, below=below, most=limit + 1)
    kept, following = paging.cut(rows, limit, "feedback")
    return endpoint.Page[Feedback](items=[_one(row) for row in kept], next=following)


async def output(caller: callers.Caller, run: int) -> Output:
    """Shows what a run made, and what was said of it."""
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        found = await runs.load(conn, run)
        made = await cases.work_of(conn, run)
        text = await thread.draft_of(conn, run)
        steps = await report.progress(conn, run)
        given = await _given(conn, agent, run=run, most=ON_ONE_RUN)
    return Output(
        agent=agent.name,
        run=run,
        revision=found.revision,
        state=found.state,
        ready=found.kind == "run" and found.state in runs.AT_REST,
        subject=found.input.get("subject"),
        to=made.mails[-1]["to"] if made.mails else None,
        output=text,
        steps=[FeedbackStep(step=row["seq"], kind=row["kind"], tool=row["tool"]) for row in steps],
        given=[_one(row) for row in given],
    )


async def give(caller: callers.Caller, run: int, body: FeedbackWord) -> FeedbackStanding:
    """Says what you think of a run. Unless it was right, the manager drafts a change of it, which is tried on past runs
    before it counts. A wrong memory is corrected at once.
    """
    async with caller.database.api() as conn:
        agent = await callers.run(conn, caller, run)
        if body.memory is not None:
            caller.must("admin")
            number = await _corrected(conn, agent, body.memory, body)
        else:
            number, _ = await feedbacks.give(conn, run, await _said(conn, run, body))
    return await show(caller, number)


async def show(caller: callers.Caller, feedback: int) -> FeedbackStanding:
    """Shows how a feedback stands: the draft, its replays one by one, what the gate found, and what to do next."""
    async with caller.database.api() as conn:
        agent = await callers.feedback(conn, caller, feedback)
        [row] = await _given(conn, agent, one=feedback)
        given = _one(row)
        moving = await feedbacks.under_way(conn, feedback)
        draft = await feedbacks.draft_of(conn, given.curation) if given.curation else None
        change = await changes.changed(conn, agent, draft) if draft else None
        curation = await _curation(conn, given.curation) if given.curation else None
        stage = _stage(given, curation) if change is None else await _stage_of_draft(conn, agent, change)
    spent = curation.cost if curation else Decimal(0)
    return FeedbackStanding(
        agent=agent.name,
        given=given,
        stage=stage,
        moving=moving,
        curation=curation,
        change=change,
        cost=change.cost if change else spent,
        next=NEXT[stage],
    )


def _stage(given: Feedback, curation: Curation | None) -> Stage:
    if curation is not None and curation.state in ("failed", "stopped"):
        return "failed"
    if given.outcome is not None:
        return "ended"
    return "drafting" if curation else "waits"


async def _stage_of_draft(conn: pool.Conn, agent: agents.Agent, change: changes.Change) -> Stage:
    """A revision counts as long as what counts descends from it."""
    drafted: Mapping[str, Stage] = {"draft": "trying", "asked": "asks", "current": "counts"}
    state = change.about.state
    if state != "adopted":
        return drafted.get(state, "discarded")
    values = {"agent": agent.id, "current": agent.current, "revision": change.about.revision}
    return "counts" if await (await conn.execute(Q["counts"], values)).fetchone() else "taken-back"


async def _said(conn: pool.Conn, run: int, body: FeedbackWord) -> feedbacks.Said:
    """The owner's words, without what others wrote; an output that was left as it is says nothing."""
    edited = body.edited if body.edited and body.edited.strip() else None
    if edited is not None and thread.same(edited, await thread.draft_of(conn, run)):
        edited = None
    own = await thread.edited(conn, run, edited) if edited is not None else None
    if own and body.verdict == "right":
        hint = "Call it right and leave the output as it is, or choose that it needs a change."
        raise errors.BadInput("You called it right, and changed it.", hint=hint)
    about = {"step": body.step} if body.step is not None else {}
    return feedbacks.Said(body.verdict, body.comment, own, about)


async def _corrected(conn: pool.Conn, agent: agents.Agent, row: int, body: FeedbackWord) -> int:
    if body.verdict == "right" or body.step is not None:
        hint = "Call the memory wrong, or leave it out."
        raise errors.BadInput("A memory is only named if it is wrong, and no step with it.", hint=hint)
    if body.comment.strip() or body.edited:
        return (await corrections.correct(conn, agent, row, body.comment, body.edited or None)).feedback
    return (await corrections.forget(conn, agent, row)).feedback


async def _given(
    conn: pool.Conn,
    agent: agents.Agent,
    *,
    run: int | None = None,
    one: int | None = None,
    below: int | None = None,
    most: int = 1,
) -> Sequence[Mapping[str, Any]]:
    values = {"agent": agent.id, "run": run, "one": one, "below": below, "most": most}
    return await (await conn.execute(Q["given"], values)).fetchall()


def _one(row: Mapping[str, Any]) -> Feedback:
    about = row["about"]
    memory = about.get("row") if about.get("table") == "memories" else None
    return Feedback(
        **{name: row[name] for name in Feedback.model_fields if name in row}, step=about.get("step"), memory=memory
    )


async def _curation(conn: pool.Conn, run: int) -> Curation:
    found = await runs.ending(conn, run)
    cost = (await ledger.of_run(conn, run))["cost_usd"]
    return Curation(run=run, state=found["state"], error=found["error"], hint=found["hint"], cost=cost)


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/feedback", "read", listing),
    endpoint.Endpoint("GET", "/runs/{run}/feedback", "read", output),
    endpoint.Endpoint("POST", "/runs/{run}/feedback", "run", give, keyed=True),
    endpoint.Endpoint("GET", "/feedback/{feedback}", "read", show),
)
