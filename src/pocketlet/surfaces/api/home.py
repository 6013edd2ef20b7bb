"""Home: what ran, what failed, what waits for you and what comes next, in one answer."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic

from pocketlet.agents import revisions
from pocketlet.agents.triggers import words
from pocketlet.agents.waking import slots
from pocketlet.db import pool, queries
from pocketlet.platform import notices
from pocketlet.surfaces.api import agents, endpoint, runs, story
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import slots as slot_pages

Q = queries.load("home")
MOST = 50  # of what waits and of what failed, that are told
COMING = 8  # of the next slots
RETRY = re.compile(r"`pocketlet retry (RUN|\d+)`")
Hours = Annotated[int, pydantic.Field(ge=1, le=24 * 31, description="How far back.")]


class AgentStanding(endpoint.Model):
    """An agent. `sentence`: what it did, out of rows and not out of a model. `cap`: USD that it may spend in a UTC
    day.
    """

    agent: str
    sentence: str
    runs: int
    done: int
    failed: int
    under_way: int
    waits: int
    blocked: int
    spent_today: Decimal
    cap: Decimal


class Due(endpoint.Model):
    """A trigger: what was due, and what came of it. `missed`: nobody started it in time. `unsettled`: the run
    ended, and no worker has looked at what came of it yet. `held_back`: of the failed ones, those that ended because
    something was not let out. `failures`: looks in a row.
    """

    agent: str
    trigger: str
    kind: str
    due: int
    done: int
    failed: int
    held_back: int
    skipped: int
    missed: int
    not_begun: int
    under_way: int
    waits_for_you: int
    unsettled: int
    failures: int
    why: str | None
    paused: str | None
    next_at: datetime | None


class Waiting(endpoint.Model):
    """Something that goes on once you have answered. `about`: where to, why, or the words of an answer. `wish`: what it
    wants to do, in words; empty if that is no act.
    """

    kind: Literal["approval", "revision", "reply"]
    number: int
    agent: str
    run: int | None
    tool: str
    wish: str
    about: str
    question: str
    since: datetime
    until: datetime | None


class WaitingList(endpoint.Model):
    """All of it, the oldest first: 50 at most."""

    items: list[Waiting]


class Failed(endpoint.Model):
    """A run that failed, and that you have not opened since."""

    run: int
    agent: str
    title: str
    error: str
    hint: str
    ended_at: datetime

    @property
    def plain(self) -> str:
        """The hint for a page."""
        return _without_commands(self.hint)


class Notice(endpoint.Model):
    """Something that is wrong, or was. `count`: how often it was reported; `agent`: empty for the installation. `to`:
    the page where more is told, or something can be done about it; empty: none but that of its `run`.
    """

    notice: int
    agent: str
    title: str
    hint: str
    to: str
    run: int | None
    count: int
    first_at: datetime
    last_at: datetime

    @property
    def plain(self) -> str:
        """The hint for a page; with its commands where no page has something instead."""
        return _without_commands(self.hint) if self.to or self.run else self.hint


def _without_commands(hint: str) -> str:
    """What a hint says beside commands for a terminal. To let a run go on is a button of its page."""
    parts = re.split(r"(?<=[.;]) ", RETRY.sub("“Go on from the last step”", hint))
    kept = " ".join(part for part in parts if "`pocketlet " not in part)
    return f"{kept[:-1]}." if kept.endswith(";") else kept


class Coming(endpoint.Model):
    """A slot that is not there yet."""

    agent: str
    trigger: str
    at: datetime


class Home(endpoint.Model):
    """`hours`: how far back it looks."""

    hours: int
    agents: list[AgentStanding]
    triggers: list[Due]
    waiting: list[Waiting]
    failed: list[Failed]
    notices: list[Notice]
    coming: list[Coming]
    spent_today: Decimal


async def show(caller: callers.Caller, *, hours: Hours = 24) -> Home:
    """Shows what ran, failed and waits for you, what it cost, and what comes next."""
    owner = {"owner": caller.owner.id, "limit": MOST, "hours": hours}
    async with caller.database.api() as conn:
        mine = {one.name: one for one in await callers.everyone(conn, caller)}
        rows = await (await conn.execute(Q["agents"], owner)).fetchall()
        caps = {
            name: (await revisions.load(conn, one, one.current)).manifest.budget["day"] for name, one in mine.items()
        }
        asks = await agents.waits(conn, caller)
        waits = await _waiting(conn, caller)
        failed = await (await conn.execute(Q["failed"], owner)).fetchall()
        back = await slot_pages.held_back(conn, caller, hours)
        due = [
            row | {"held_back": back.get((row["agent"], row["trigger"]), 0)}
            for row in await slots.today(conn, hours)
            if row["agent"] in mine
        ]
        told = await _notices(conn, caller, mine)
    standing = [
        _standing(row | {"waits": asks.get(row["name"], 0)}, hours, caps[row["name"]])
        for row in rows
        if row["name"] in mine
    ]
    return Home(
        hours=hours,
        agents=standing,
        triggers=[_due(row) for row in due],
        waiting=waits,
        failed=[Failed(title=runs.title(row), **{name: row[name] for name in FAILED}) for row in failed],
        notices=told,
        coming=_coming(due),
        spent_today=sum((one.spent_today for one in standing), Decimal(0)),
    )


async def waiting(caller: callers.Caller) -> WaitingList:
    """Lists what waits for you, of whatever kind: letters, drafted changes, and answers that may be yours."""
    async with caller.database.api() as conn:
        return WaitingList(items=await _waiting(conn, caller))


async def _waiting(conn: pool.Conn, caller: callers.Caller) -> list[Waiting]:
    rows = await (await conn.execute(Q["waiting"], {"owner": caller.owner.id, "limit": MOST})).fetchall()
    wishes = [story.act(row["tool"], row["about"])[0] if row["tool"] else "" for row in rows]
    return [Waiting(**row, wish=wish) for row, wish in zip(rows, wishes, strict=True)]


FAILED = ("run", "agent", "error", "hint", "ended_at")


async def _notices(conn: pool.Conn, caller: callers.Caller, mine: Mapping[str, object]) -> list[Notice]:
    """Those of the caller's agents; those of no agent are the keeper's."""
    known: list[dict[str, Any]] = [row | {"agent": row["agent"] or ""} for row in await notices.standing(conn)]
    own = [row for row in known if row["agent"] in mine or (not row["agent"] and caller.owner.keeper)]
    held = {row["run"]: row for row in await _rows(conn, "held", {"runs": [row["run"] for row in own if row["run"]]})}
    return [_notice(row | {"to": _page(row, next(iter(mine), ""))}, held.get(row["run"])) for row in own]


def _page(row: Mapping[str, Any], agent: str) -> str:
    """Where a notice leads. `agent`: one of the caller's, for what is shown with any."""
    kind, _, about = row["problem"].partition(":")
    if kind == "trigger":
        return f"/agents/{row['agent']}/triggers"
    if kind == "replies":
        return "/approvals"
    pages = {"connection": f"/connections/{about}", "channel": "/channels"}
    return f"/agents/{agent}{pages[kind]}" if agent and kind in pages else ""


def _notice(row: Mapping[str, Any], held: Mapping[str, Any] | None) -> Notice:
    """`held`: what the run that it is about was kept from; then that is all there is to say."""
    plain: dict[str, Any] = {name: row[name] for name in Notice.model_fields}
    if row["run"] and row["hint"].startswith("`pocketlet show "):
        plain["hint"] = ""  # the run's number says as much
    if held and row["problem"].startswith("trigger:") and row["problem"].endswith(":failed"):
        plain["title"] = runs.kept_back(held)
    return Notice(**plain)


async def _rows(conn: pool.Conn, name: str, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return await (await conn.execute(Q[name], values)).fetchall()


def _due(row: Mapping[str, Any]) -> Due:
    known: dict[str, Any] = {name: row[name] for name in Due.model_fields if name in row}
    told = ("done", "failed", "skipped", "missed", "not_begun", "under_way", "waits_for_you")
    return Due(**known, unsettled=max(0, row["due"] - sum(row[name] for name in told)))


def _coming(due: Sequence[Mapping[str, Any]]) -> list[Coming]:
    waits = [row for row in due if row["kind"] == "schedule" and row["next_at"] and row["paused"] is None]
    first = sorted(waits, key=lambda row: (row["next_at"], row["agent"], row["trigger"]))[:COMING]
    return [Coming(agent=row["agent"], trigger=row["trigger"], at=row["next_at"]) for row in first]


def _standing(row: Mapping[str, Any], hours: int, cap: Decimal) -> AgentStanding:
    kept = {name: row[name] for name in AgentStanding.model_fields if name in row}
    return AgentStanding(**kept, agent=row["name"], sentence=sentence(row, hours), cap=cap)


def sentence(row: Mapping[str, Any], hours: int) -> str:
    """What an agent did in the last hours, in words. `row`: the counts of `home.sql`."""
    since = "since yesterday" if hours == 24 else f"in the last {hours} hours"
    if not row["runs"]:
        return f"{row['name']} did nothing {since}." if row["ever"] else f"{row['name']} has not worked yet."
    deeds = [
        f"worked on {_many(row['runs'], 'task')}",
        row["mails"] and f"sent {_many(row['mails'], 'mail')}",
        row["acts"] and f"did {_many(row['acts'], 'other thing')} outside",
        row["learned"] and f"learned {_many(row['learned'], 'thing')}",
    ]
    rest = [
        row["under_way"] and f"{_many(row['under_way'], 'task')} {_is(row['under_way'])} under way.",
        row["failed"] and f"{_many(row['failed'], 'task')} failed.",
        row["blocked"] and f"Policy blocked {_many(row['blocked'], 'act')}: nothing was sent there.",
        row["unknown"] and f"Of {_many(row['unknown'], 'act')} nobody knows whether it was done.",
    ]
    told = [_first(one) for one in rest if one]
    return " ".join([f"{row['name']} {words.together(deed for deed in deeds if deed)} {since}.", *told])


def _many(count: int, word: str) -> str:
    small = ("no", *words.NUMBERS)
    return f"{small[count] if count < len(small) else count} {word}{'' if count == 1 else 's'}"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _first(text: str) -> str:
    return text[:1].upper() + text[1:]


async def dismiss(caller: callers.Caller, notice: int) -> endpoint.Done:
    """Closes a notice: you have seen it. It comes back if the problem does."""
    async with caller.database.api() as conn:
        await callers.notice(conn, caller, notice)
        await notices.dismiss(conn, notice)
    return endpoint.Done(said="It is off the page, and comes back if it happens again.")


async def reopen(caller: callers.Caller, notice: int) -> endpoint.Done:
    """Opens a notice again that you have dismissed."""
    async with caller.database.api() as conn:
        await callers.notice(conn, caller, notice)
        await notices.reopen(conn, notice)
    return endpoint.Done(said="It is back.")


ENDPOINTS = (
    endpoint.Endpoint("GET", "/home", "read", show),
    endpoint.Endpoint("GET", "/waiting", "read", waiting),
    endpoint.Endpoint("POST", "/notices/{notice}/dismiss", "run", dismiss),
    endpoint.Endpoint("POST", "/notices/{notice}/reopen", "run", reopen),
)
