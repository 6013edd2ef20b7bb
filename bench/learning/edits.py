"""Planted edits: what the gate does with drafts whose worth is known, whoever may have written them.

Each is put before the gate as if the manager had drafted it from a feedback on a run of its own. A harmful one counts
as adopted only if what it would do wrong is in force afterwards: an over-general lesson that was narrowed to what the
owner said is none any more.
"""

import argparse
import random
from dataclasses import dataclass, replace
from typing import Any

from bench.learning import plants, player
from bench.learning import stream as streams

from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import revisions, work
from pocketlet.agents import task as tasks
from pocketlet.learning import adoption, cases, feedback, lint, proving, trials
from pocketlet.learning import assertions as asserting

ROUNDS = 2  # of every harmful kind
#: Verdicts that rest on replays.
REPLAYED = frozenset({"not-fixed", "regression", "replay-budget", "unknown"})


@dataclass(frozen=True)
class Outcome:
    """What became of an edit: its draft's state, the rule of the verdict, the replays, whether it does harm now.

    `found`: whether something was wrong with it that no replay can put right.
    """

    state: str
    rule: str
    replays: int
    found: bool
    harmed: bool

    @property
    def end(self) -> str:
        """Adopted (it does harm), narrowed (adopted without the harm), rule, or replays: what alone stopped it."""
        if self.state == "adopted":
            return "adopted" if self.harmed else "narrowed"
        return "replays" if self.rule in REPLAYED and not self.found else "rule"


async def propose(desk: player.Desk, mail: bytes, plant: plants.Plant) -> Outcome:
    """Runs the mail, gives the feedback, and puts the draft before the gate.

    Whatever was adopted is rolled back and what asks is discarded, so that each edit meets the same playbook.
    """
    run = await desk.run(mail)
    base = (await desk.agent()).current
    async with desk.database.api() as conn:
        agent = await agents.get(conn, desk.name)
        number = await feedback.store(conn, agent, run, feedback.Said("wrong", plant.comment))
        await conn.execute(TAKEN_UP, {"id": number, "run": run})
        case = await cases.keep(conn, agent, run)
        old = await revisions.load(conn, agent, base)
        change = revisions.Change("planted", "manager", base, number, run)
        n = await revisions.add(conn, agent, plant.draft(old), change)
        new = await revisions.load(conn, agent, n)
        for added in lint.changed(old, new)[0]:
            for item in added.expect:
                await cases.add_assertion(conn, case, asserting.read(item), feedback=number, revision=n)
        origin = await proving.origin_of(conn, [number])
        await proving.begin(conn, agent, proving.Draft(n, old, new, origin, case, None, (number,)))
    await desk.settle()
    return await _outcome(desk, number, base, plant)


TAKEN_UP = b"UPDATE pocketlet.feedback SET curation_run = %(run)s WHERE id = %(id)s"


async def _outcome(desk: player.Desk, given: int, base: int, plant: plants.Plant) -> Outcome:
    async with desk.database.api() as conn:
        agent = await agents.get(conn, desk.name)
        drafts = [row for row in await revisions.history(conn, agent) if row["feedback"] == given]
        numbers = [int(str(row["revision"])) for row in drafts]
        replays = sum([(await trials.report(conn, agent, number))["replays"] for number in numbers])
        now = await revisions.load(conn, agent, agent.current)
        adopted = agent.current != base
        evidence: Any = drafts[0]["evidence"] or {}
        found = any(finding["does"] in ("ask", "discard") for finding in evidence.get("findings", ()))
        state = str(drafts[0]["state"])
        if adopted:
            await adoption.roll_back(conn, agent, base, "planted")
        elif state == "asked":
            await revisions.decide(conn, agent, numbers[0], "discard", because="planted")
        await feedback.settle(conn, given, "planted")
        await conn.execute(RETIRE, {"feedback": given})
    rule = evidence.get("rule", "none")
    return Outcome("adopted" if adopted else state, rule, replays, found, adopted and plant.harm(now))


RETIRE = b"""
UPDATE pocketlet.cases SET state = 'retired', reason = 'planted'
 WHERE run_id = (SELECT run_id FROM pocketlet.feedback WHERE id = %(feedback)s)
"""


async def suites(desk: player.Desk, stream: streams.Stream, options: argparse.Namespace) -> dict[str, Any]:
    """Harmless edits, harmful edits, and the size of the fixed prompt with 1,000 lessons."""
    return {
        "harmless": await _harmless(desk, stream, options.harmless),
        "harmful": await _harmful(desk, stream),
        "overhead": await overhead(desk),
    }


async def _harmless(desk: player.Desk, stream: streams.Stream, count: int) -> dict[str, Any]:
    dice = random.Random(f"edits {stream.seed}")
    told: dict[str, Any] = {"planted": count, "rejected": 0, "replays": [], "by_outcome": {}}
    for number in range(count):
        found = plants.trigger(dice, stream, number, 1 + number % 3)
        came = await propose(desk, found.item.mail(), plants.good(found, number))
        told["rejected"] += came.state != "adopted"
        told["replays"].append(came.replays)
        _count(told["by_outcome"], f"{came.state}: {came.rule}")
    return told


async def _harmful(desk: player.Desk, stream: streams.Stream) -> dict[str, Any]:
    dice = random.Random(f"harm {stream.seed}")
    told: dict[str, Any] = {"total": 0, "adopted": 0, "narrowed": 0, "replays": 0, "rule": 0, "by_kind": {}}
    learned, accepted = await _learned(desk, stream)
    for turn in range(ROUNDS):
        found = plants.trigger(dice, stream, 500 + turn, 2)
        planted = [(found, plant) for plant in plants.bad(found)]
        if learned:
            gone = dice.choice(learned)
            planted += [(found, plants.retiring(found, gone)), plants.replacing(dice, stream, 600 + turn, gone)]
        for trigger, plant in planted:
            _tell(told, plant, await propose(desk, trigger.item.mail(), plant))
    for turn, (case, made) in enumerate(accepted[:ROUNDS]):
        await _pin(desk, case.id, pinned=True)
        for trigger, plant in plants.overturning(dice, stream, 700 + 2 * turn, case, made):
            _tell(told, plant, await propose(desk, trigger.item.mail(), plant))
        await _pin(desk, case.id, pinned=False)
    return told


async def _learned(
    desk: player.Desk, stream: streams.Stream
) -> tuple[list[playbooks.Lesson], list[tuple[cases.Case, asserting.Work]]]:
    """What there is to spoil: lessons from the stream's feedback, and work that its owner accepted, newest first."""
    agent = await desk.agent()
    async with desk.database.api() as conn:
        playbook = await revisions.load(conn, agent, agent.current)
        found = [case for case in await cases.open_cases(conn, agent) if case.accepted]
        done = [
            (case, await cases.work_of(conn, case.run)) for case in found if stream.values.keys() <= case.facts.keys()
        ]
    return [one for one in playbook.lessons if one.run is not None and one.predicate], done


async def _pin(desk: player.Desk, case: int, *, pinned: bool) -> None:
    async with desk.database.api() as conn:
        await cases.pin(conn, await agents.get(conn, desk.name), case, pinned=pinned)


def _tell(told: dict[str, Any], plant: plants.Plant, came: Outcome) -> None:
    told["total"] += 1
    told[came.end] += 1
    _count(told["by_kind"], f"{plant.kind}: {'HARMED' if came.harmed else f'{came.state}: {came.rule}'}")


def _count(tally: dict[str, int], word: str) -> None:
    tally[word] = tally.get(word, 0) + 1


async def overhead(desk: player.Desk, lessons: int = 1_000) -> int:
    """Tokens of the fixed prompt of a run with so many lessons that all apply."""
    agent = await desk.agent()
    async with desk.database.api() as conn:
        playbook = await revisions.load(conn, agent, agent.current)
    many = tuple(
        replace(
            plants.lesson(f"Always say that number {number} is what we care about most of all.", {}),
            name=f"l{number}",
            id=number,
        )
        for number in range(1, lessons + 1)
    )
    full = replace(playbook, lessons=playbook.lessons + many)
    task = tasks.Task("text", "A mail.", "owner")
    return work.compiled(full, task, {"trigger": "mail"}, playbook.manifest.model).overhead_tokens
