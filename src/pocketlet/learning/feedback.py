"""What the owner says of a run: a row, a case, and (unless it was right) one run of the manager.

Curations of an agent take turns: what is said while one is under way waits, and all that was said of one run by then is
taken up together. Every feedback ends in one visible outcome.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import assertions as asserting
from pocketlet.learning import canary, cases, trials

Q = queries.load("feedback")
VERDICTS = ("right", "change", "wrong")
MAX_COMMENT = 4_000


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a run. `edited`: the draft as the owner would have sent it; `about`: {"step": 4}, say.

    `source`: owner, reply (to a notice), sent (what really went out) or backtest.
    """

    verdict: str
    comment: str = ""
    edited: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    source: str = "owner"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A row. `run_id` is None for a word on a memory that came with the import."""

    id: int
    agent_id: int
    run_id: int | None
    verdict: str
    comment: str
    edited: str | None
    about: dict[str, Any]
    source: str


async def give(conn: pool.Conn, run_id: int, said: Said) -> tuple[int, int | None]:
    """Stores it and sees to its curation; its number, and the manager's run (None if nothing is to be learned from it,
    or if an earlier curation has to end first).

    Raises errors.NotFound, errors.Conflict, errors.BadInput.
    """
    run = await runs.load(conn, run_id)
    if run.kind != "run":
        raise errors.Conflict(f"Run {run_id} is the {run.kind}'s own; give feedback on a run of the agent.")
    if run.state not in runs.AT_REST:
        raise errors.Conflict(f"Run {run_id} is still {run.state}.", hint="Wait for it to finish.")
    _check(said)
    await _check_step(conn, run_id, said)
    await agents.lock(conn, run.agent_id)
    agent = await agents.by_id(conn, run.agent_id)
    number = await store(conn, agent, run_id, said)
    case = await cases.keep(conn, agent, run_id)
    await canary.noted(conn, agent, run_id, said.verdict, number)
    if said.verdict == "right":
        await cases.accept(conn, case)
        await trials.admit_accepted(conn, agent, case)
        await settle(conn, number, "kept as a case; nothing to change")
        return number, None
    await cases.unaccept(conn, case)
    await curate(conn, agent)
    return number, (await outcome(conn, number))["curation_run"]


def _check(said: Said) -> None:
    if said.verdict not in VERDICTS:
        raise errors.BadInput(f"A verdict is one of {', '.join(VERDICTS)}, not {said.verdict!r}.")
    if len(said.comment) > MAX_COMMENT:
        raise errors.BadInput(f"The comment is longer than {MAX_COMMENT} characters.")
    if said.verdict != "right" and not said.comment.strip() and not said.edited:
        raise errors.BadInput(
            "Say what should change.", hint="Give a TEXT, or the draft as you would have sent it with --edited FILE."
        )


async def _check_step(conn: pool.Conn, run: int, said: Said) -> None:
    step = said.about.get("step")
    if step is not None and not await (await conn.execute(Q["step"], {"run": run, "seq": step})).fetchone():
        raise errors.NotFound(f"Run {run} has no step {step}.", hint=f"`pocketlet show {run}` numbers them.")


async def store(conn: pool.Conn, agent: agents.Agent, run: int | None, said: Said) -> int:
    """The row; its number."""
    values = {"agent": agent.id, "run": run, "verdict": said.verdict, "comment": said.comment.strip()}
    values |= {"edited": said.edited, "about": pool.jsonb(dict(said.about)), "source": said.source}
    made = await (await conn.execute(Q["add"], values)).fetchone()
    return made["id"] if made else 0


async def curate(conn: pool.Conn, agent: agents.Agent, *, ending: int | None = None) -> int | None:
    """Starts the manager on what was said first of all that waits, unless a curation is under way; its run.

    `ending` is the manager's run that ends in this transaction.
    """
    await agents.lock(conn, agent.id)
    while True:
        row = await (await conn.execute(Q["next"], {"agent": agent.id, "ending": ending})).fetchone()
        if row is None:
            return None
        said = await (await conn.execute(Q["waiting_on"], {"agent": agent.id, "run": row["run_id"]})).fetchall()
        known = await _said_before(conn, agent, row["run_id"], said)
        if not known:
            break
        told = f"no change: lesson {known} says so and was in the briefing; the model did not follow it"
        await settle_all(conn, [item["id"] for item in said], told)
    agent = await agents.by_id(conn, agent.id)
    task = tasks.Task("text", "\n".join(item["comment"] for item in said), "owner")
    curation = {"agent": agent.id, "kind": "manager", "revision": agent.current, "input": task.record()}
    manager = await runs.insert(conn, curation | {"label": "owner", "feedback": said[0]["id"]})
    await conn.execute(Q["curated_by"], {"ids": [item["id"] for item in said], "run": manager})
    return manager


async def curating(conn: pool.Conn, agent: int) -> int | None:
    """The manager's or trial's run that is at work on a feedback of this agent, if one is."""
    row = await (await conn.execute(Q["curating"], {"agent": agent})).fetchone()
    return row["id"] if row else None


async def _said_before(conn: pool.Conn, agent: agents.Agent, run: int, said: Sequence[Mapping[str, Any]]) -> str:
    """The lesson in force that came of these very words, that the run had been told, and that it did not follow."""
    words = {asserting.folded(item["comment"]) for item in said}
    if len(words) != 1 or any(item["edited"] for item in said):
        return ""
    told = await (await conn.execute(Q["told"], {"agent": agent.id, "run": run})).fetchall()
    made = await cases.work_of(conn, run)
    for row in told:
        if asserting.folded(row["comment"]) in words and asserting.failing(_expected(row), made):
            return "" if any(_went_before(other, row, made) for other in told) else row["name"]
    return ""


def _expected(row: Mapping[str, Any]) -> list[asserting.Assertion]:
    return [asserting.read(item) for item in row["expect"]]


def _went_before(other: Mapping[str, Any], row: Mapping[str, Any], made: asserting.Work) -> bool:
    """Whether the run followed a lesson that speaks against this one: then there is something to learn."""
    pairs = ((one, two) for one in _expected(other) for two in _expected(row))
    against = any(asserting.contradict(one, two, made.lines) for one, two in pairs)
    return against and not asserting.failing(_expected(other), made)


async def get(conn: pool.Conn, number: int) -> Feedback:
    """Raises errors.NotFound."""
    row = await (await conn.execute(Q["get"], {"id": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no feedback {number}.")
    return Feedback(**row)


async def of_curation(conn: pool.Conn, manager: int) -> list[Feedback]:
    """All that a manager's run takes up, in the order in which it was said."""
    return [Feedback(**row) for row in await (await conn.execute(Q["of_curation"], {"run": manager})).fetchall()]


async def behind(conn: pool.Conn, run: int) -> list[int]:
    """The feedback that a manager's run, or a replay of its draft, is about."""
    return [row["id"] for row in await (await conn.execute(Q["behind"], {"run": run})).fetchall()]


async def reopen(conn: pool.Conn, run: int) -> None:
    """The outcome is open again: its curation, or the replay that the gate could not do without, is tried again."""
    await conn.execute(Q["reopen"], {"run": run})


async def settle(conn: pool.Conn, number: int, outcome: str) -> None:
    """What became of it: every feedback ends in one visible outcome."""
    await settle_all(conn, [number], outcome)


async def settle_all(conn: pool.Conn, numbers: Sequence[int], outcome: str) -> None:
    """What became of all that one curation took up."""
    await conn.execute(Q["settle"], {"ids": list(numbers), "outcome": outcome[:1000]})


async def settle_revision(conn: pool.Conn, agent: agents.Agent, revision: int, outcome: str) -> None:
    """The outcome of the feedback that a revision came from."""
    await conn.execute(Q["settle_revision"], {"agent": agent.id, "revision": revision, "outcome": outcome})


async def take_back(conn: pool.Conn, numbers: Sequence[int]) -> None:
    """It waits again: what was made of it was drafted from a revision that no longer counts."""
    await conn.execute(Q["take_back"], {"ids": list(numbers)})


async def draft_of(conn: pool.Conn, manager_run: int) -> int | None:
    """The newest revision that a manager's run led to, if any: a narrowed draft follows the one it was made of."""
    row = await (await conn.execute(Q["draft_of"], {"run": manager_run})).fetchone()
    return row["n"] if row else None


async def outcome(conn: pool.Conn, number: int) -> dict[str, Any]:
    """The row as a person sees it."""
    return dict(await (await conn.execute(Q["outcome"], {"id": number})).fetchone() or {})


async def under_way(conn: pool.Conn, number: int) -> list[int]:
    """The runs that have to rest before the feedback has its outcome: its curation, the replays of its draft, or those
    of the curation that it waits for.
    """
    return [row["id"] for row in await (await conn.execute(Q["under_way"], {"id": number})).fetchall()]
