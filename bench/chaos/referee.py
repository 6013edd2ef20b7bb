"""What must hold when all is at rest: what was taken in against what was done, as the outside world saw it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.chaos import ground as grounds
from bench.chaos import load as loads

KEYS = "SELECT key, state FROM pocketlet.slot WHERE agent_id = %s"
GAPS = """
SELECT t.name, s.due_at FROM (
  SELECT trigger_id, due_at, lag(due_at) OVER (PARTITION BY trigger_id ORDER BY due_at) AS before
    FROM pocketlet.slot WHERE agent_id = %s AND body = ''::bytea OR body IS NULL) s
  JOIN pocketlet.trigger t ON t.id = s.trigger_id
 WHERE t.kind = 'schedule' AND s.due_at - s.before <> interval '1 minute'
"""
RUNS = "SELECT id, kind, state, outcome, error FROM pocketlet.run ORDER BY id"
EFFECTS = """
SELECT e.id, e.kind, e.state, e.destination, e.request FROM pocketlet.effect e
 WHERE e.agent_id = %s AND e.state <> 'replaced' ORDER BY e.id
"""
NEXT = """
SELECT extract(epoch FROM min(m.at) - %s)::float8 AS seconds FROM (
  SELECT s.at FROM pocketlet.step s WHERE s.run_id = %s UNION ALL SELECT r.ended_at FROM pocketlet.run r WHERE r.id = %s
  UNION ALL SELECT r.since FROM pocketlet.run r WHERE r.id = %s AND r.state <> 'running') m WHERE m.at > %s
"""


@dataclass
class Verdict:
    """Sentences about what was lost, doubled, or not finished; and the seconds in which lost runs went on."""

    slots: int = 0
    effects: int = 0
    runs: int = 0
    finished: int = 0
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    undone: list[str] = field(default_factory=list[str])
    stuck: list[str] = field(default_factory=list[str])
    resumed: list[float] = field(default_factory=list[float])

    @property
    def p95(self) -> float:
        """Of the seconds until a run went on whose worker was lost."""
        return p95(self.resumed)


def p95(seconds: Sequence[float]) -> float:
    """What 95 of 100 of them are not above."""
    ordered = sorted(seconds)
    return ordered[math.ceil(0.95 * len(ordered)) - 1] if ordered else 0.0


async def judge(ground: grounds.Ground, load: loads.Load, losses: Sequence[tuple[int, object]]) -> Verdict:
    """Compares the rows with what the outside world sent and got."""
    verdict = Verdict()
    await _slots(ground, load, verdict)
    await _effects(ground, verdict)
    rows = await ground.rows(RUNS)
    verdict.runs = len(rows)
    verdict.finished = sum(row["state"] == "done" for row in rows)
    verdict.stuck += [
        f"run {row['id']} ({row['kind']}) {row['state']}: {row['error']}" for row in rows if row["state"] != "done"
    ]
    verdict.resumed = await resumed(ground, losses)
    return verdict


async def resumed(ground: grounds.Ground, losses: Sequence[tuple[int, object]]) -> list[float]:
    """The seconds from the loss of a worker to the next thing that its run wrote."""
    found: list[float] = []
    for run, at in losses:
        (row,) = await ground.rows(NEXT, at, run, run, run, at)
        if row["seconds"] is not None:
            found.append(float(str(row["seconds"])))
    return found


async def _slots(ground: grounds.Ground, load: loads.Load, verdict: Verdict) -> None:
    rows = await ground.rows(KEYS, ground.agent.id)
    states = {str(row["key"]): row["state"] for row in rows}
    verdict.slots = len(rows)
    for what, keys in (("mail", load.mails), ("delivery", load.deliveries)):
        verdict.lost += [f"{what} {key[:12]}: {states.get(key)}" for key in keys if states.get(key) != "done"]
    verdict.lost += [f"slot {key[:40]} is {state}" for key, state in states.items() if state != "done"]
    verdict.lost += [
        f"{row['name']}: nothing before {row['due_at']}" for row in await ground.rows(GAPS, ground.agent.id)
    ]


async def _effects(ground: grounds.Ground, verdict: Verdict) -> None:
    rows = await ground.rows(EFFECTS, ground.agent.id)
    verdict.effects = len(rows)
    done = ground.truth.done
    for row in rows:
        number = loads.number(row)
        if row["state"] == "succeeded" and done[number] == 0:
            verdict.undone.append(f"effect {row['id']} ({number}) is said to be done")
        elif row["state"] not in ("succeeded", "unknown"):
            verdict.undone.append(f"effect {row['id']} ({number}) is {row['state']}")
    verdict.doubled += [f"number {number}: {times} times" for number, times in done.items() if times > 1 and number > 0]
