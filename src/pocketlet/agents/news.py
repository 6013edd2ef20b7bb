"""What the owner is to be told on a channel now: problems, questions and results, each in words of ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pocketlet.db import pool, queries
from pocketlet.platform import compose
from pocketlet.platform.channels import definitions
from pocketlet.policy import core

Q = queries.load("deliveries")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
#: What mail and chat programs make links and mentions of: a scheme's end, an @, the dot before a name, an IP address.
SCHEME = re.compile(r":[/\\]{2}")
AT = re.compile(r"[@\uff20]")
DOT = re.compile(r"(?<=[\w-])[.\u3002\uff0e\uff61](?=[^\W\d_][\w-])")
IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
LONGEST_TITLE = 200
LONGEST_TEXT = 1_500
#: What each kind of message is about, as the owner chooses it; the others are answers to the owner.
ABOUT = {
    "problem": "problems",
    "still": "problems",
    "over": "problems",
    "approval": "approvals",
    "reminder": "approvals",
    "result": "results",
}
#: What quiet hours never hold back: the owner is there.
AT_ONCE = ("answer", "test")


@dataclass(frozen=True, slots=True)
class News:
    """One telling of one thing. `subject` and `number` make it one; `due` is since when it could have been told.

    `run` is what an answer to it is about.
    """

    subject: str
    number: int
    kind: str
    due: datetime
    title: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    run: int | None = None
    notice: int | None = None
    approval: int | None = None
    answers: str = ""


def summaries(passed: timedelta) -> int:
    """The number of the summary that is due, so long after the first telling: 1 h, 6 h, then each day; at first 1."""
    if passed < HOUR:
        return 1
    if passed < 6 * HOUR:
        return 2
    return 3 + passed // DAY


def reminders(passed: timedelta) -> int:
    """As `summaries`, of a question that waits: each day."""
    return 1 + passed // DAY


def since(number: int, first: datetime, *, daily: bool = False) -> datetime:
    """When the telling of this number was due."""
    if daily:
        return first + (number - 1) * DAY
    early = (timedelta(0), HOUR, 6 * HOUR)
    return first + (early[number - 1] if number <= len(early) else (number - len(early)) * DAY)


async def due(conn: pool.Conn, channel: definitions.Definition, now: datetime) -> list[News]:
    """All that this channel was not told of and should be, whatever the hour."""
    found: list[News] = []
    values = {"channel": channel.id}
    if "problems" in channel.about:
        rows = await (await conn.execute(Q["problems"], values)).fetchall()
        found += [news for row in rows if (news := _problem(row, now))]
    if "approvals" in channel.about:
        rows = await (await conn.execute(Q["approvals"], values)).fetchall()
        found += [news for row in rows if (news := _question(row, now))]
    if "results" in channel.about:
        values |= {"since": channel.created_at}
        rows = await (await conn.execute(Q["results"], values)).fetchall()
        found += [_result(row) for row in rows]
    return found


def line(text: str, longest: int = LONGEST_TITLE) -> str:
    """Any text as one line of a message: nothing in it hides, moves the cursor, begins a line of its own, or is made a
    link or mention by the program that shows it.
    """
    shown = unlinked(compose.visible(" ".join(text.split())))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def paragraph(text: str) -> str:
    """As `line`, a longer text, its line ends kept."""
    shown = unlinked(compose.visible(text.replace("\r\n", "\n").replace("\r", "\n").strip()))
    return shown if len(shown) <= LONGEST_TEXT else shown[:LONGEST_TEXT] + " […]"


def unlinked(text: str) -> str:
    """The text with its links, addresses and mentions broken up, so that the only link to click is ours."""
    text = IP.sub(lambda address: address[0].replace(".", "[.]"), text)
    return DOT.sub("[.]", AT.sub("[@]", SCHEME.sub(":\u2044\u2044", text)))


def _hosts(text: str) -> str:
    """The text with only the host of each link: the rest may be made to look like anything."""

    def host(link: re.Match[str]) -> str:
        place = re.split(r"[/\\?#]", link[0].partition("://")[2] or link[0], maxsplit=1)[0]
        return place.rpartition("@")[2]

    return core.LINK.sub(host, text)


def when(instant: datetime) -> str:
    """A point in time as people read it, in UTC."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def times(count: int) -> str:
    """`once`, `twice`, `7 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _problem(row: Mapping[str, Any], now: datetime) -> News | None:
    if row["resolved_at"] is not None:
        said = f"Since {when(row['resolved_at'])}: {line(row['resolution'])}. It had happened {times(row['count'])}."
        return _noticed(row, "over", 1, row["resolved_at"], said)
    if row["since"] is None:
        # A problem that comes and goes is not told each time it comes.
        first = max(row["first_at"], (row["before"] or row["first_at"] - HOUR) + HOUR)
        said = f"Since {when(row['first_at'])}, {times(row['count'])}." if row["count"] > 1 else ""
        return _noticed(row, "problem", 1, first, said) if first <= now else None
    number = summaries(now - row["since"])
    if number <= row["number"]:
        return None
    said = f"Still failing: {times(row['count'])} since {when(row['first_at'])}, last at {when(row['last_at'])}."
    return _noticed(row, "still", number, since(number, row["since"]), said)


def _noticed(row: Mapping[str, Any], kind: str, number: int, first: datetime, said: str) -> News:
    whose = f"{row['agent']}: " if row["agent"] else ""
    heading = {"problem": "", "still": "Still: ", "over": "Over: "}[kind]
    parts = [said]
    if kind != "over":
        parts.append(f"Next: {line(row['hint'], 500)}" if row["hint"] else "")
        parts.append(f"`pocketlet show {row['run']}` shows the run." if row["run"] else "")
        parts.append(f"`pocketlet inbox dismiss {row['id']}` ends these messages.")
    names = ("agent", "problem", "count", "run", "first_at", "last_at", "resolved_at")
    return News(
        subject=f"notice:{row['id']}:over" if kind == "over" else f"notice:{row['id']}",
        number=number,
        kind=kind,
        due=first,
        title=line(f"{heading}{whose}{row['title']}"),
        text="\n".join(part for part in parts if part),
        facts={"notice": row["id"]} | {name: row[name] for name in names},
        run=row["run"],
        notice=row["id"],
    )


def _question(row: Mapping[str, Any], now: datetime) -> News | None:
    """What it is about, and not the text itself: that stands on the page of the link, word for word."""
    number = 1 if row["since"] is None else reminders(now - row["since"])
    if number <= row["number"]:
        return None
    first = since(number, row["since"] or row["created_at"], daily=True)
    again = "" if row["question"] == "send" else " again"
    waits = "Still waits: " if number > 1 else ""
    why = _hosts(row["why"])
    parts = (
        f"Why you are asked: {line(why, 500)}",
        f"After {when(row['expires_at'])} the answer is no.",
        f"`pocketlet approvals` shows it word for word; `pocketlet approve {row['id']}` or "
        f"`pocketlet refuse {row['id']} --because TEXT` answers it.",
    )
    names = ("agent", "run", "tool", "to", "why", "class", "request_hash", "expires_at")
    return News(
        subject=f"approval:{row['id']}",
        number=number,
        kind="approval" if number == 1 else "reminder",
        due=first,
        title=line(f"{waits}{row['agent']} asks: {row['tool']} to {row['to']}{again}?"),
        text="\n".join(parts),
        facts={"approval": row["id"]} | {name: row[name] for name in names} | {"why": why},
        run=row["run"],
        approval=row["id"],
    )


def _result(row: Mapping[str, Any]) -> News:
    about = f" ({line(row['subject'], 80)})" if row["subject"] else ""
    facts = {name: row[name] for name in ("agent", "run", "outcome", "result", "ended_at")}
    return News(
        subject=f"result:{row['run']}",
        number=1,
        kind="result",
        due=row["ended_at"],
        title=line(f"{row['agent']}, run {row['run']}{about}: {row['outcome'] or 'done'}"),
        text=f"{paragraph(row['result'] or '')}\n\n`pocketlet show {row['run']}` shows all of it.".strip(),
        facts=facts,
        run=row["run"],
    )
