"""Changes of the playbook: what a revision changes, what its replays showed, and the owner's word on it."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.db import pool
from pocketlet.learning import adoption, tables, trials
from pocketlet.platform import ledger
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, playbook

LONGEST = 200_000  # characters of instructions
HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
#: What an owner can do about a revision, by its state.
CAN: Mapping[str, tuple[str, ...]] = {
    "draft": ("adopt", "discard"),
    "asked": ("adopt", "discard"),
    "current": ("undo",),
    "adopted": ("rollback",),
}


class Trial(endpoint.Model):
    """A past run, done again with the draft: fixed, same, worse, still-wrong, unknown or pending. `run`: the last of
    its `attempts`; `failed`: what does not hold there; `failed_before`: nor held with the revision in force.
    """

    case: int
    case_run: int
    subject: str | None
    run: int
    verdict: str
    passes: int
    attempts: int
    failed: list[str]
    failed_before: list[str]
    unknown: list[str]
    cost: Decimal


class Finding(endpoint.Model):
    """What was found without trying. `does`: discard, narrow or ask."""

    does: str
    rule: str
    why: str


class Change(endpoint.Model):
    """What a revision changes against its parent, what its replays showed and cost, and what you can do about it:
    adopt, discard, undo or rollback. `adds` and `drops`: lessons. `counts`: cases by what came of them; those not
    touched are `unchanged`. `triggers`: what starts runs of it by itself.
    """

    agent: str
    current: int
    about: playbook.Revision
    adds: list[playbook.Lesson]
    drops: list[playbook.Lesson]
    diff: str
    findings: list[Finding]
    trials: list[Trial]
    counts: dict[str, int]
    replays: int
    pending: int
    evidence: dict[str, Any]
    cost: Decimal
    can: list[str]
    triggers: list[str]

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The diff as marks and texts, for `parts.diff`."""
        return marked(self.diff)

    @property
    def is_one_lesson(self) -> bool:
        """Whether it brings one lesson and nothing else, so that a sentence says all of it."""
        files = [text for mark, text in self.lines if mark == "@" and text != "…"]
        return len(self.adds) == 1 and not self.drops and len(files) == 1


class Diff(endpoint.Model):
    """What differs between two revisions, as a unified diff over the files of the agent; empty if nothing does."""

    agent: str
    old: int
    new: int
    diff: str

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The diff as marks and texts, for `parts.diff`."""
        return marked(self.diff)


class RevisionWhy(endpoint.Model):
    """Why, in your words; kept with the decision."""

    because: str = pydantic.Field("", max_length=1_000)


class Back(endpoint.Model):
    """The revision to go back to; null: the one before the current one. `instead_of`: the one that has to be current,
    so that a page which is out of date takes nothing back that it does not show.
    """

    revision: playbook.Number | None = None
    instead_of: playbook.Number | None = None
    because: str = pydantic.Field("", max_length=1_000)


class InstructionsEdit(endpoint.Model):
    """The instructions as you want them. `revision`: the one that you wrote them from, which has to be current."""

    revision: playbook.Number
    instructions: str = pydantic.Field(max_length=LONGEST)
    reason: str = pydantic.Field("", max_length=500)


class Decided(endpoint.Model):
    """How a revision stands now; `current` is what new runs are pinned to."""

    agent: str
    revision: int
    current: int
    state: playbook.State
    said: str


def marked(diff: str) -> list[tuple[str, str]]:
    """A unified diff as (mark, text): `@` before each file, with its name, and where lines are left out."""
    found: list[tuple[str, str]] = []
    old = new = 0
    for line in diff.split("\n"):
        mark, text = line[:1] or " ", line[1:]
        if old > 0 or new > 0:
            old, new = old - (mark != "+"), new - (mark != "-")
            found.append((mark, text))
        elif match := HUNK.match(line):
            old, new = (int(size or 1) for size in match.groups())
            found += [("@", "…")] if found and found[-1][0] != "@" else []
        elif line.startswith("+++ "):
            found.append(("@", line[4:].partition("/")[2]))
    return found


async def change(caller: callers.Caller, agent: str, revision: playbook.Number) -> Change:
    """Shows what a revision changes against its parent, and what its replays showed."""
    async with caller.database.api() as conn:
        return await changed(conn, await callers.agent(conn, caller, agent), revision)


async def diff(caller: callers.Caller, agent: str, *, old: playbook.Choice = 0, new: playbook.Choice = 0) -> Diff:
    """Shows what differs between two revisions. Without `new`: the current one; without `old`: the parent of `new`."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        new = new or found.current
        old = old or (await revisions.one(conn, found, new))["parent"] or new
        before, after = await revisions.load(conn, found, old), await revisions.load(conn, found, new)
    text = revisions.diff(before, after, (f"r{old}", f"r{new}"))
    return Diff(agent=agent, old=old, new=new, diff=text)


async def adopt(caller: callers.Caller, agent: str, revision: playbook.Number, body: RevisionWhy) -> Decided:
    """Lets a draft count, whatever its replays say. Runs that have begun stay with the revision they began with."""
    async with caller.database.api() as conn:
        await callers.agent(conn, caller, agent)
    await tables.adopt(caller.database, agent, revision, body.because)
    return await _decided(caller, agent, revision, f"Revision {revision} counts from now on.")


async def discard(caller: callers.Caller, agent: str, revision: playbook.Number, body: RevisionWhy) -> Decided:
    """Turns a draft down. Nothing else changes."""
    async with caller.database.api() as conn:
        await adoption.discard(conn, await callers.agent(conn, caller, agent), revision, body.because)
    return await _decided(caller, agent, revision, f"Revision {revision} is discarded. Nothing else has changed.")


async def roll_back(caller: callers.Caller, agent: str, body: Back) -> Decided:
    """Lets an earlier revision count again. Nothing is deleted: going forward works the same way."""
    async with caller.database.api() as conn:
        await agents.lock(conn, (await callers.agent(conn, caller, agent)).id)
        found = await callers.agent(conn, caller, agent)
        if body.instead_of not in (None, found.current):
            hint = "Look at the playbook: any revision can be gone back to from there."
            raise errors.Conflict(f"Revision {found.current} counts now, not {body.instead_of}.", hint=hint)
        number = body.revision or await revisions.before(conn, found)
        await adoption.roll_back(conn, found, number, body.because)
    return await _decided(caller, agent, number, f"Revision {number} counts again. Nothing was deleted.")


async def edit(caller: callers.Caller, agent: str, body: InstructionsEdit) -> Decided:
    """Writes an agent's instructions anew, by hand: a revision that counts at once. No replay is made of it."""
    text = body.instructions.replace("\r\n", "\n").strip()
    if not text:
        raise errors.BadInput("Instructions can't be empty.", hint="Say in a sentence what the agent does, and how.")
    reason = body.reason.strip() or "written by hand"
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        number = await adoption.write(conn, found, body.revision, text + "\n", reason)
    return await _decided(caller, agent, number, f"Revision {number} counts from now on.")


async def changed(conn: pool.Conn, agent: agents.Agent, revision: int) -> Change:
    """The same, of an agent that is known to be the caller's. Raises errors.NotFound."""
    row = await revisions.one(conn, agent, revision)
    about = playbook.stands(row)
    after = await revisions.load(conn, agent, revision)
    before = await revisions.load(conn, agent, about.parent) if about.parent else after
    told = await trials.report(conn, agent, revision)
    spent = (await ledger.of_run(conn, about.run))["cost_usd"] if about.run else Decimal(0)
    return Change(
        agent=agent.name,
        current=agent.current,
        about=about,
        adds=[playbook.lesson(one) for one in after.lessons if one.id not in {old.id for old in before.lessons}],
        drops=[playbook.lesson(one) for one in before.lessons if one.id not in {new.id for new in after.lessons}],
        diff=revisions.diff(before, after, (f"r{about.parent}", f"r{revision}")) if about.parent else "",
        findings=[Finding(does=item["does"], rule=item["rule"], why=item["why"]) for item in told["findings"]],
        trials=[_trial(item) for item in told["trials"]],
        counts=told["counts"],
        replays=told["replays"],
        pending=len(await trials.pending(conn, agent, revision)),
        evidence=row["evidence"] or {},
        cost=spent + told["cost_usd"],
        can=_can(about),
        triggers=[spec.name for spec in after.manifest.triggers],
    )


def _can(about: playbook.Revision) -> list[str]:
    return [word for word in CAN.get(about.state, ()) if word != "undo" or about.parent]


def _trial(row: Mapping[str, Any]) -> Trial:
    names = ("case", "case_run", "subject", "run", "verdict", "passes", "attempts")
    evidence = row["evidence"]
    return Trial(
        **{name: row[name] for name in names},
        cost=row["cost_usd"],
        failed=evidence["failed"],
        failed_before=evidence.get("failed_before", []),
        unknown=evidence["unknown"],
    )


async def _decided(caller: callers.Caller, agent: str, revision: int, said: str) -> Decided:
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        state = (await revisions.one(conn, found, revision))["state"]
    return Decided(agent=agent, revision=revision, current=found.current, state=state, said=said)


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/revisions/{revision}/change", "read", change),
    endpoint.Endpoint("GET", "/agents/{agent}/diff", "read", diff),
    endpoint.Endpoint("POST", "/agents/{agent}/revisions/{revision}/adopt", "approve", adopt, keyed=True),
    endpoint.Endpoint("POST", "/agents/{agent}/revisions/{revision}/discard", "approve", discard, keyed=True),
    endpoint.Endpoint("POST", "/agents/{agent}/rollback", "approve", roll_back, keyed=True),
    endpoint.Endpoint("PUT", "/agents/{agent}/instructions", "admin", edit),
)
