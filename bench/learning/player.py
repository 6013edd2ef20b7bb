"""Plays one stream to one agent through the product's own loop, and keeps what the figures are made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from bench.learning import house
from bench.learning import stream as streams

from pocketlet.agents import agent as agents
from pocketlet.agents import loop, portable, revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.learning import cases, feedback, kinds, proving, trials
from pocketlet.platform import ledger


@dataclass
class Given:
    """A feedback on an item: `true` is whether the user said what the oracle says."""

    number: int
    item: int
    rule: int | None
    true: bool
    matching: int = 0
    fixed: bool = False
    adopted: bool = False


@dataclass
class Played:
    """What came of a stream."""

    arm: str
    seed: int
    scores: list[float] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    poisoned: int = 0
    invalid: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Desk:
    """An agent and the engine that its runs go through."""

    database: pool.Database
    engine: loop.Engine
    name: str
    folder: Path
    questions: int = 0

    async def agent(self) -> agents.Agent:
        """Its row, as it is now."""
        async with self.database.api() as conn:
            return await agents.get(conn, self.name)

    async def run(self, raw: bytes) -> int:
        """One mail, taken as far as it goes: to the draft that waits for approval."""
        async with self.database.api() as conn:
            agent = await agents.get(conn, self.name)
            manifest = (await revisions.load(conn, agent, agent.current)).manifest
            number = await runs.create(conn, agent, tasks.read(raw), raw, manifest)
        await self.advance(number)
        return number

    async def advance(self, run: int) -> None:
        """Takes a run on."""
        await loop.advance(self.engine, kinds.KINDS, run)

    async def settle(self) -> None:
        """Takes on whatever learning has queued, until nothing of it moves."""
        while True:
            async with self.database.api() as conn:
                agent = await agents.get(conn, self.name)
                waiting = await (await conn.execute(QUEUED, {"agent": agent.id})).fetchall()
            if not waiting:
                return
            await self.advance(waiting[0]["id"])

    async def mails(self, run: int) -> tuple[Any, ...]:
        """What a run drafted."""
        async with self.database.api() as conn:
            return (await cases.work_of(conn, run)).mails

    async def renew(self) -> None:
        """Makes the folder the next revision."""
        await portable.renew(self.database, self.folder)


QUEUED = b"""
SELECT id FROM pocketlet.run
 WHERE agent_id = %(agent)s AND state = 'queued' AND kind IN ('manager', 'trial') ORDER BY id
"""
Learn = Callable[[Desk, int, str, str], Awaitable[int]]


async def play(
    desk: Desk, stream: streams.Stream, arm: str, learn: Learn | None, *, drift: Learn | None = None
) -> Played:
    """Item after item: run, score, what the user says, and what `learn` makes of it (None: nothing is ever said)."""
    played, user = Played(arm, stream.seed), streams.User(stream)
    half = len(stream.items) // 2
    for item in stream.items:
        if drift and item.number == half:
            await drift(desk, 0, "", "")
        run = await desk.run(item.mail())
        granted = house.granted(await desk.mails(run))
        score = float(granted == item.right)
        played.scores.append(score)
        played.poisoned += granted == streams.POISON
        _count_fixes(played, item, score)
        said = user.says(item, granted) if learn else None
        if said and learn:
            verdict, comment, true = said
            number = await learn(desk, run, verdict, comment)
            if verdict != "right":
                played.given.append(Given(number, item.number, item.rule.number if item.rule else None, true))
    played.facts = await facts(desk, played)
    return played


def _count_fixes(played: Played, item: streams.Item, score: float) -> None:
    """Matching runs from a feedback to the first success."""
    for given in played.given:
        if not given.fixed and item.rule and given.rule == item.rule.number:
            given.matching += 1
            given.fixed = bool(score)


async def by_feedback(desk: Desk, run: int, verdict: str, comment: str) -> int:
    """Our way: curated, tried and decided on before the next mail comes; and what is asked is answered."""
    async with desk.database.api() as conn:
        number, _ = await feedback.give(conn, run, feedback.Said(verdict, comment))
    await desk.settle()
    await answer(desk, number, comment)
    return number


async def answer(desk: Desk, number: int, comment: str) -> None:
    """The owner's word on a draft that asks: yes if its lesson is what they said, else no."""
    async with desk.database.api() as conn:
        agent = await agents.get(conn, desk.name)
        asked = [
            row for row in await revisions.history(conn, agent) if row["feedback"] == number and row["state"] == "asked"
        ]
        for row in asked:
            revision = int(str(row["revision"]))
            new = await revisions.load(conn, agent, revision)
            meant = all(item.body.startswith(comment.rstrip(".")) for item in new.lessons if item.feedback == number)
            decide = proving.adopt if meant and row["parent"] == agent.current else proving.discard
            await decide(conn, agent, revision)
            desk.questions += 1
    if asked:
        await desk.settle()


async def facts(desk: Desk, played: Played) -> dict[str, Any]:
    """Money, drafts, retirements and replays, from the product's own rows; and the audit replay of what was fixed."""
    agent = await desk.agent()
    async with desk.database.api() as conn:
        drafts = [row for row in await revisions.history(conn, agent) if row["author"] == "manager" and row["run"]]
        told = [await trials.report(conn, agent, row["revision"]) for row in drafts]  # type: ignore[arg-type]
        costs = await ledger.costs(conn, agent.id)
        known = await cases.listing(conn, agent)
        playbook = await revisions.load(conn, agent, agent.current)
        tokens = await (await conn.execute(TOKENS, {"agent": agent.id})).fetchone()
    spent = {kind: sum((row["cost_usd"] for row in costs if row["kind"] == kind), Decimal(0)) for kind in KINDS}
    return {
        "drafts": len(drafts),
        "questions": desk.questions,
        "states": _counts([str(row["state"]) for row in drafts]),
        "replays": [report["replays"] for report, row in zip(told, drafts, strict=True) if row["state"] != "narrowed"],
        "lessons": len(playbook.lessons),
        "poison_adopted": sum(str(streams.POISON) in lesson.body for lesson in playbook.lessons),
        "retired": sum(row["state"] == "retired" for row in known),
        "cases": _counts([row["state"] for row in known]),
        "usd_per_item": float(sum(spent.values())) / (len(played.scores) or 1),
        "prompt_tokens_last": int(tokens["tokens"]) if tokens else 0,
        "learning_share": float((spent["manager"] + spent["trial"]) / (sum(spent.values()) or 1)),
        "audit": await audit(desk, played),
    }


TOKENS = b"""
SELECT coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY n.overhead_tokens), 0) AS tokens
  FROM (SELECT r.overhead_tokens FROM pocketlet.run r
         WHERE r.agent_id = %(agent)s AND r.kind = 'run' ORDER BY r.id DESC LIMIT 50) n
"""
KINDS = ("run", "manager", "trial")


def _counts(words: list[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}


async def audit(desk: Desk, played: Played) -> dict[str, int]:
    """Every case whose fix was adopted, again at the end.

    `suspected`: it fails three of three, which chance alone does to 0.6 % of them at flip .29; `regressed`: it fails
    the three that follow, too. A case that was retired, naming a feedback, is a sanctioned retirement, no regression.
    """
    agent = await desk.agent()
    found = {"fixed": 0, "suspected": 0, "regressed": 0, "retired": 0}
    async with desk.database.api() as conn:
        fixed = await (await conn.execute(FIXED, {"agent": agent.id})).fetchall()
    for row in fixed:
        found["fixed"] += 1
        if row["state"] == "retired":
            found["retired"] += 1
        elif not await passes(desk, agent, row["case"]):
            found["suspected"] += 1
            found["regressed"] += not await passes(desk, agent, row["case"])
    return found


FIXED = b"""
SELECT DISTINCT c.case_id AS case, k.state
  FROM pocketlet.candidate c JOIN pocketlet.cases k ON k.id = c.case_id
  JOIN pocketlet.decision d ON d.agent_id = c.agent_id AND d.revision = c.revision AND d.verdict = 'adopt'
 WHERE c.agent_id = %(agent)s ORDER BY c.case_id
"""


async def passes(desk: Desk, agent: agents.Agent, case: int, attempts: int = 3) -> bool:
    """Whether the case passes at least once in so many trials on what is in force."""
    for _ in range(attempts):
        async with desk.database.api() as conn:
            run = await trials.start(conn, agent, trials.Trial(agent.current, agent.current, case, "audit"))
        await desk.advance(run)
        async with desk.database.api() as conn:
            row = await (await conn.execute(VERDICT, {"run": run})).fetchone()
        if row and row["verdict"] == "pass":
            return True
    return False


VERDICT = b"SELECT verdict FROM pocketlet.trial WHERE run_id = %(run)s"
