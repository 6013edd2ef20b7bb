"""Holds what the rows say against what the provider did. Knows no worker, and believes none."""

import json
from collections import Counter
from dataclasses import dataclass, field

from bench.effects import ground as grounds

from pocketlet.platform import compose

EFFECTS = """
SELECT e.id, e.run_id, e.class, e.kind, e.destination, e.message, e.request_hash, e.state, e.response, e.request,
       (SELECT count(*) FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.state = 'pending') AS open,
       (SELECT count(*) FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.question = 'send-again') AS asked,
       r.input->>'text' AS task
  FROM pocketlet.effect e JOIN pocketlet.run r ON r.id = e.run_id WHERE e.agent_id = %s ORDER BY e.id
"""
#: States in which nobody may have done it, and nobody may be asked.
NEVER = ("failed", "refused", "planned", "approved")


@dataclass
class Verdict:
    """Counts by class and state, and what broke a promise, by its name."""

    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unknown: int = 0

    @property
    def broken(self) -> dict[str, int]:
        """How often each promise was broken."""
        return {name: len(getattr(self, name)) for name in ("doubled", "lost", "unasked", "denied", "changed")}


async def judge(ground: grounds.Ground) -> Verdict:
    """Every effect of the agent against the truth.

    doubled: done more than once; lost: called succeeded, and never done; unasked: nobody can know, and the owner has
    not exactly one question (or had none, if it was answered); denied: done, and called failed; changed: other bytes
    were done than those that were shown.
    """
    verdict = Verdict()
    for row in await ground.rows(EFFECTS, ground.agent.id):
        number = int(str(row["task"]).rstrip(".").rpartition(" ")[2])
        done, state = ground.truth.done[number], str(row["state"])
        said = f"effect {number} ({row['class']}) is {state}, done {done} times, {row['open']} questions"
        verdict.states[str(row["class"]), state] += 1
        if done > 1:
            verdict.doubled.append(said)
        if state == "succeeded" and not done:
            verdict.lost.append(f"{said}: {row['response']}")
        if state in NEVER and done:
            verdict.denied.append(f"{said}: {row['response']}")
        if state == "unknown":
            verdict.unknown += 1
        if not _asked(row):
            verdict.unasked.append(said)
        if any(not _shown(row, content) for content in ground.truth.bytes_done[number]):
            verdict.changed.append(said)
    return verdict


def _asked(row: dict[str, object]) -> bool:
    """One open question on what nobody can know, or an answer to it; none on anything else."""
    opened, asked = int(str(row["open"])), int(str(row["asked"]))
    return opened <= 1 and asked >= 1 if row["state"] == "unknown" else opened == 0


def _shown(row: dict[str, object], content: bytes) -> bool:
    message = bytes(row["message"])  # type: ignore[arg-type]
    if row["kind"] == "mail":
        return compose.digest("mail", str(row["destination"]), content) == row["request_hash"]
    return json.loads(message)["body"].encode() == content
