"""Past mails answered anew, with nothing sent, beside what was really answered."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic

from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.db import pool
from pocketlet.learning import backtest
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint


class PastMails(endpoint.Model):
    """Past mails and their answers, each whole (RFC 5322), as an IMAP server gives them; they are not kept. `me`: the
    address that answered; empty: the agent's own. `since`: only of this day (UTC) or later. `limit`: the newest.
    """

    mails: Annotated[list[str], pydantic.Field(min_length=1, max_length=1_000)]
    me: Annotated[str, pydantic.Field(max_length=320)] = ""
    since: date | None = None
    limit: Annotated[int, pydantic.Field(ge=1, le=100)] = 20


class PastAnswers(PastMails):
    """The same mails, and the numbers of the `pairs` whose real answers become feedback; none: all."""

    pairs: list[int] = pydantic.Field([], max_length=100)


class MailPair(endpoint.Model):
    """A mail, its real `answer` and the agent's `draft`. `verdict`: same, differs, none (no mail was drafted), failed,
    pending, or new (no `run` yet). `similarity`: the share of words that both have. `feedback`: what it has become.
    """

    pair: int
    run: int | None
    subject: str
    sender: str
    at: datetime | None
    verdict: Literal["same", "differs", "none", "failed", "pending", "new"]
    similarity: float
    draft: str
    answer: str
    result: str | None
    error: str | None
    hint: str | None
    cost: Decimal
    feedback: int | None


class Backtested(endpoint.Model):
    """Mails that were `answered`, `unanswered` or `unreadable`, and `doubtful` answers: those that were received."""

    agent: str
    revision: int
    me: str
    answered: int
    unanswered: int
    unreadable: int
    doubtful: int
    pairs: list[MailPair]


async def begin(caller: callers.Caller, agent: str, body: PastMails) -> Backtested:
    """Works on past mails that have a real answer, with nothing sent and nothing remembered, at the usual cost.

    A mail that the current revision has worked on is not worked on again. `results` shows how they came out.
    """
    async with caller.database.api() as conn:
        mine, me, found = await _read(conn, caller, agent, body)
        for pair in found.pairs:
            await backtest.start(conn, mine, pair)
        return _told(mine, me, found, await _stand(conn, mine, found))


async def results(caller: callers.Caller, agent: str, body: PastMails) -> Backtested:
    """Shows what the agent would have answered beside what was answered. Nothing is begun by it."""
    async with caller.database.api() as conn:
        mine, me, found = await _read(conn, caller, agent, body)
        return _told(mine, me, found, await _stand(conn, mine, found))


async def learn(caller: callers.Caller, agent: str, body: PastAnswers) -> Backtested:
    """Makes real answers that stand beside a draft feedback, once each: an edit, or a good word if they are equal."""
    async with caller.database.api() as conn:
        mine, me, found = await _read(conn, caller, agent, body)
        backtest.check(found, body.pairs)
        rows = await _stand(conn, mine, found)
        await backtest.learn_all(conn, mine, [row for row in rows if row["run"]], body.pairs)
        return _told(mine, me, found, rows)


async def _read(
    conn: pool.Conn, caller: callers.Caller, agent: str, body: PastMails
) -> tuple[agents.Agent, str, backtest.Mailbox]:
    mine = await callers.agent(conn, caller, agent)
    me = backtest.address((await revisions.load(conn, mine, mine.current)).manifest, body.me.strip())
    since = datetime.combine(body.since, time(), UTC) if body.since else None
    mails = (text.encode("utf-8", "replace") for text in body.mails)
    return mine, me, backtest.paired(mails, me, since=since, limit=body.limit)


async def _stand(conn: pool.Conn, agent: agents.Agent, found: backtest.Mailbox) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, pair in enumerate(found.pairs, 1):
        run = await backtest.last(conn, agent, pair)
        rows.append({"pair": number, **(await backtest.compared(conn, run, pair) if run else _new(pair))})
    return rows


def _new(pair: backtest.Pair) -> dict[str, Any]:
    about = {"subject": pair.subject, "from": pair.sender, "at": pair.at, "answer": pair.answer}
    blank = dict.fromkeys(("run", "result", "error", "hint", "feedback"))
    return about | blank | {"verdict": "new", "similarity": 0.0, "draft": "", "cost_usd": Decimal(0)}


def _told(agent: agents.Agent, me: str, found: backtest.Mailbox, rows: list[dict[str, Any]]) -> Backtested:
    counts = {name: getattr(found, name) for name in ("answered", "unanswered", "unreadable", "doubtful")}
    return Backtested(agent=agent.name, revision=agent.current, me=me, **counts, pairs=[_pair(row) for row in rows])


def _pair(row: Mapping[str, Any]) -> MailPair:
    plain = {name: row[name] for name in MailPair.model_fields if name in row}
    return MailPair(**plain, sender=row["from"], cost=row["cost_usd"])


ENDPOINTS = (
    endpoint.Endpoint("POST", "/agents/{agent}/backtest", "run", begin, status=202, keyed=True),
    endpoint.Endpoint("POST", "/agents/{agent}/backtest/results", "read", results),
    endpoint.Endpoint("POST", "/agents/{agent}/backtest/learn", "run", learn, keyed=True),
)
