"""What a draft's adoption means: cases follow, replays count towards admission, what was overtaken is taken up anew.

The gate adopts by its evidence, the owner by their word; going back is the owner's alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.db import pool, queries
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases, feedback, trials

Q = queries.load("adoption")


async def adopt(conn: pool.Conn, agent: agents.Agent, n: int, because: str = "") -> None:
    """The owner's word on a draft: it counts, whatever the gate said. Raises errors.Conflict, errors.NotFound."""
    evidence = await _on_record(conn, agent, n)
    await revisions.decide(conn, agent, n, "adopt", because=because, evidence=evidence)
    agent = await agents.by_id(conn, agent.id)
    await take_effect(conn, agent, n)
    await feedback.settle_revision(conn, agent, n, f"adopted as revision {n}")
    await feedback.curate(conn, agent)


async def discard(conn: pool.Conn, agent: agents.Agent, n: int, because: str = "") -> None:
    """The owner's word against a draft. Raises errors.Conflict, errors.NotFound."""
    evidence = await _on_record(conn, agent, n)
    await revisions.decide(conn, agent, n, "discard", because=because, evidence=evidence)
    reason = f": {because}" if because else ""
    await feedback.settle_revision(conn, agent, n, f"discarded with revision {n}{reason}")
    await feedback.curate(conn, agent)


async def _on_record(conn: pool.Conn, agent: agents.Agent, n: int) -> dict[str, Any]:
    """What the gate had found and tried of a draft when the owner decided on it."""
    row = await (await conn.execute(Q["evidence"], {"agent": agent.id, "revision": n})).fetchone()
    told = await trials.report(conn, agent, n)
    figures = {"counts": told["counts"], "replays": told["replays"], "cost_usd": str(told["cost_usd"])}
    return {**(row["evidence"] if row else {}), **figures}


async def roll_back(conn: pool.Conn, agent: agents.Agent, n: int, because: str = "") -> None:
    """An earlier revision counts again, and so do the cases that only later ones had retired.

    Raises errors.NotFound, and errors.Conflict if it counts already, or never did.
    """
    await _check_counted(conn, agent, n)
    await revisions.decide(conn, agent, n, "rollback", because=because)
    agent = await agents.by_id(conn, agent.id)
    await cases.follow(conn, agent)
    await _take_up_anew(conn, agent)
    await feedback.curate(conn, agent)


async def _check_counted(conn: pool.Conn, agent: agents.Agent, n: int) -> None:
    """A draft is adopted, not rolled back to: that is where its trials are looked at."""
    state = (await revisions.one(conn, agent, n))["state"]
    if state in revisions.OPEN:
        hint = f"`pocketlet adopt {agent.name} {n}` makes it the current one."
        raise errors.Conflict(f"Revision {n} is a draft.", hint=hint)
    if state in ("discarded", "narrowed"):
        hint = f"`pocketlet revisions {agent.name}` lists the others."
        raise errors.Conflict(f"Revision {n} was {state}.", hint=hint)


async def write(conn: pool.Conn, agent: agents.Agent, parent: int, instructions: str, reason: str) -> int:
    """The owner writes the instructions of revision `parent` anew, by hand: a revision that counts at once; its number.

    Raises errors.Conflict if another revision counts by now, or if nothing changes.
    """
    return await _by_hand(conn, agent, parent, {"instructions": instructions}, reason)


async def set_up(conn: pool.Conn, agent: agents.Agent, parent: int, manifest_text: str, reason: str) -> int:
    """The same of agent.toml, whose text has been checked."""
    return await _by_hand(conn, agent, parent, {"manifest_text": manifest_text}, reason)


async def _by_hand(conn: pool.Conn, agent: agents.Agent, parent: int, changes: Mapping[str, str], reason: str) -> int:
    await agents.lock(conn, agent.id)
    agent = await agents.by_id(conn, agent.id)
    if agent.current != parent:
        said = f"Revision {agent.current} counts now, and this was written from revision {parent}."
        raise errors.Conflict(said, hint="Look at what has changed, and write it into that one.")
    now = await revisions.load(conn, agent, parent)
    new = replace(now, **changes)
    if new == now:
        said = "The instructions say this already." if "instructions" in changes else "agent.toml says this already."
        raise errors.Conflict(said, hint="Nothing was changed.")
    n = await revisions.add(conn, agent, new, revisions.Change(reason, "owner", parent))
    await revisions.decide(conn, agent, n, "adopt", because=reason)
    agent = await agents.by_id(conn, agent.id)
    await _take_up_anew(conn, agent)
    await feedback.curate(conn, agent)
    return n


async def take_effect(conn: pool.Conn, agent: agents.Agent, n: int) -> None:
    """What follows when a draft counts: contradicted cases retire, and its replays count towards admission."""
    row = await (await conn.execute(Q["plan"], {"agent": agent.id, "revision": n})).fetchone()
    if row is None:
        return
    for case in [*row["retires"], *await _outspoken(conn, agent, n, row)]:
        first = row["feedback"][0] if row["feedback"] else None
        said = f"feedback {first} says otherwise" if first else "the owner's word says otherwise"
        await cases.retire(conn, case, f"{said} (revision {n})", first, n)
    for trial in await trials.of_draft(conn, agent, n):
        counts = trial["revision"] == n and trial["verdict"] in ("pass", "fail")
        if counts and trial["purpose"] in ("trigger", "regression"):
            await cases.tried(conn, trial["case"], trial["model"], passed=trial["verdict"] == "pass")
    if row["case_id"]:
        await trials.admit(conn, agent, row["case_id"])
    await _take_up_anew(conn, agent)


async def _outspoken(conn: pool.Conn, agent: agents.Agent, n: int, row: dict[str, Any]) -> list[int]:
    """Contested cases that the work on the corrected run's own task now contradicts: the newest word wins."""
    passed = [
        trial["run"]
        for trial in await trials.of_draft(conn, agent, n)
        if trial["purpose"] == "trigger" and trial["verdict"] == "pass"
    ]
    if not passed:
        return []
    made = await cases.work_of(conn, passed[-1])
    found: list[int] = []
    for case in row["contested"]:
        wanted = [item for item in await cases.assertions(conn, case, row["parent"]) if item.kind != "effect"]
        found += [case] if asserting.failing(wanted, made) else []
    return found


async def _take_up_anew(conn: pool.Conn, agent: agents.Agent) -> None:
    """Drafts that wait for a word and were made of a revision that counts no more: their feedback is taken up again."""
    for row in await (await conn.execute(Q["overtaken"], {"agent": agent.id})).fetchall():
        why = f"Revision {agent.current} counts since, and this was drafted from revision {row['parent']}."
        evidence = {"rule": "stale"}
        await revisions.decide(conn, agent, row["n"], "discard", author="gate", because=why, evidence=evidence)
        await feedback.take_back(conn, row["feedback"])
