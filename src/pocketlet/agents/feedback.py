"""What the owner says of a run: a row, a case, and (unless it was right) one run of the manager."""

import difflib
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import cases, policy, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries

Q = queries.load("feedback")
VERDICTS = ("right", "change", "wrong")
MAX_COMMENT = 4_000


@dataclass(frozen=True, slots=True)
class Feedback:
    """`edited`: the draft as the owner would have sent it."""

    id: int
    agent_id: int
    run_id: int
    verdict: str
    comment: str
    edited: str | None


async def give(conn: pool.Conn, run_id: int, verdict: str, comment: str, edited: str | None) -> tuple[int, int | None]:
    """Stores it and queues the manager; the feedback's number and the manager's run (None if nothing is to be learned).

    Raises errors.NotFound, errors.Conflict, errors.BadInput.
    """
    run = await runs.load(conn, run_id)
    if run.kind != "run":
        raise errors.Conflict(f"Run {run_id} is the {run.kind}'s own; give feedback on a run of the agent.")
    if run.state not in ("done", "waiting", "failed", "stopped"):
        raise errors.Conflict(f"Run {run_id} is still {run.state}.", hint="Wait for it to finish.")
    _check(verdict, comment, edited)
    agent = await agents.by_id(conn, run.agent_id)
    values = {"agent": agent.id, "run": run_id, "verdict": verdict, "comment": comment.strip(), "edited": edited}
    made = await (await conn.execute(Q["add"], values)).fetchone()
    number = made["id"] if made else 0
    await cases.keep(conn, agent, run_id)
    if verdict == "right":
        await settle(conn, number, "kept as a case; nothing to change")
        return number, None
    task = tasks.Task("text", comment, "owner")
    curation = {"agent": agent.id, "kind": "manager", "revision": agent.current, "input": task.record()}
    label = policy.join("owner", run.label)  # the manager reads the run's drafts
    manager = await runs.insert(conn, curation | {"label": label, "feedback": number})
    await conn.execute(Q["curated_by"], {"id": number, "run": manager})
    return number, manager


def _check(verdict: str, comment: str, edited: str | None) -> None:
    if verdict not in VERDICTS:
        raise errors.BadInput(f"A verdict is one of {', '.join(VERDICTS)}, not {verdict!r}.")
    if len(comment) > MAX_COMMENT:
        raise errors.BadInput(f"The comment is longer than {MAX_COMMENT} characters.")
    if verdict != "right" and not comment.strip() and not edited:
        raise errors.BadInput(
            "Say what should change.", hint="Give a TEXT, or the draft as you would have sent it with --edited FILE."
        )


async def get(conn: pool.Conn, number: int) -> Feedback:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["get"], {"id": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no feedback {number}.")
    return Feedback(**row)


async def settle(conn: pool.Conn, number: int, outcome: str) -> None:
    """What became of it: every feedback ends in one visible outcome."""
    await conn.execute(Q["settle"], {"id": number, "outcome": outcome})


async def settle_revision(conn: pool.Conn, agent: agents.Agent, revision: int, outcome: str) -> None:
    """The outcome of the feedback that a revision came from."""
    await conn.execute(Q["settle_revision"], {"agent": agent.id, "revision": revision, "outcome": outcome})


async def draft_of(conn: pool.Conn, manager_run: int) -> int | None:
    """The revision that a manager's run drafted, if it did."""
    row = await (await conn.execute(Q["draft_of"], {"run": manager_run})).fetchone()
    return row["n"] if row else None


def edit_of(draft: str, edited: str) -> str:
    """What the owner changed in a draft, line by line."""
    return "\n".join(difflib.unified_diff(draft.splitlines(), edited.splitlines(), "draft", "edited", lineterm=""))


async def outcome(conn: pool.Conn, number: int) -> dict[str, Any]:
    """The row as a person sees it."""
    return dict(await (await conn.execute(Q["outcome"], {"id": number})).fetchone() or {})
