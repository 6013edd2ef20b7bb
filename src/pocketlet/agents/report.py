"""What a person sees of a run: its briefing by part, every step with request and response, its acts, and its cost."""

import email
import email.policy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from pocketlet import errors
from pocketlet.agents import approving, journal
from pocketlet.agents import briefing as briefings
from pocketlet.db import pool, queries
from pocketlet.platform import ledger

Q = queries.load("report")
PART = re.compile(r"\n\n(?=# (?:Agent|Job|Instructions|Lessons|Skills|Skill \S+, whole|Tables|Facts|Memory)\n)")
ENDED = ("done", "failed", "stopped")


async def run(conn: pool.Conn, number: int) -> dict[str, Any]:
    """The run as one document; see `docs/cli.md` for its keys. Raises errors.NotFound."""
    row = await (await conn.execute(Q["run"], {"run": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"There is no run {number}.", hint="`pocketlet runs AGENT` lists them.")
    document = dict(row)
    record = document.pop("briefing")
    briefing = briefings.from_record(record) if record else None
    lessons = await (await conn.execute(Q["lessons"], {"ids": document["lessons"]})).fetchall()
    money = await ledger.of_run(conn, number)
    return document | {
        "briefing": parts(briefing) if briefing else [],
        "lessons": lessons,
        "steps": list(_steps(await journal.read(conn, number), briefing)),
        "timings": [_timing(step) for step in await progress(conn, number)],
        "effects": await (await conn.execute(Q["effects"], {"run": number})).fetchall(),
        "approvals": await questions(conn, number),
        "feedback": await (await conn.execute(Q["feedback"], {"run": number})).fetchall(),
        "cost_usd": money["cost_usd"],
        "uncertain_usd": money["uncertain_usd"],
        "tokens": {name: int(money[f"{name}_tokens"]) for name in ("input", "output", "cached")},
    }


def parts(briefing: briefings.Briefing) -> list[dict[str, Any]]:
    """The briefing cut where its sections begin: part, text, and tokens (a quarter of the bytes, rounded up)."""
    rules, *sections = PART.split(briefing.system)
    texts = [("rules", rules)]
    texts += [(section.partition("\n")[0].removeprefix("# ").lower(), section) for section in sections]
    texts.append(("tools", "\n".join(pool.canonical(asdict(tool)) for tool in briefing.tools)))
    texts.append(("task", briefing.user))
    return [{"part": name, "tokens": -(-len(text.encode()) // 4), "text": text} for name, text in texts]


def _timing(row: dict[str, Any]) -> dict[str, Any]:
    """Apart from the steps themselves, which are the same bytes each time that the same run is done."""
    return {name: row[name] for name in ("seq", "at", "seconds", "cost_usd")}


def _steps(steps: Sequence[journal.Step], briefing: briefings.Briefing | None) -> Iterator[dict[str, Any]]:
    """The journal with each model call's new messages: the first has the briefing, later ones the results since."""
    new: list[dict[str, Any]] = []
    if briefing:
        new = [{"role": "system", "content": briefing.system}, {"role": "user", "content": briefing.user}]
    calls: list[dict[str, Any]] = []
    for step in steps:
        shown = {"seq": step.seq, "kind": step.kind, "tool": step.tool, "label": step.label, "error": step.error}
        if step.kind == "model":
            calls = list(step.response["calls"])
            response = {name: step.response.get(name) for name in ("text", "calls", "finish", "usage")}
            yield shown | {"request": {"hash": step.request["hash"], "messages": new}, "response": response}
            new = []
        else:
            call = calls.pop(0)
            new.append({"role": "tool", "tool": step.tool, "call": call["id"], "content": journal.content(step)})
            yield shown | {"request": step.request, "response": step.response}


async def progress(conn: pool.Conn, number: int) -> list[dict[str, Any]]:
    """The finished steps in short: seq, kind, tool, error, at, seconds, cost_usd."""
    return list(await (await conn.execute(Q["timings"], {"run": number})).fetchall())


async def resting(conn: pool.Conn, number: int) -> bool:
    """Whether nothing more happens without a person: ended, or waiting for an answer that is still open.

    A run that waits and has no open question was answered, and goes on. Raises errors.NotFound if it was removed.
    """
    row = await (await conn.execute(Q["standing"], {"run": number})).fetchone()
    if row is None:
        raise errors.NotFound(f"Run {number} was removed.")
    return row["state"] in ENDED or (row["state"] == "waiting" and row["asks"])


async def put_off(conn: pool.Conn, number: int) -> str:
    """Why a run is laid aside for a while; empty if it is not."""
    row = await (await conn.execute(Q["standing"], {"run": number})).fetchone()
    return (row["put_off"] or "") if row else ""


async def questions(conn: pool.Conn, number: int | None = None) -> list[dict[str, Any]]:
    """What waits for the owner (of one run, or of all), read back from the exact bytes to be sent."""
    found = await approving.questions(conn)
    return [_question(row) for row in found if number is None or row["run"] == number]


def _question(row: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "approval",
        "question",
        "why",
        "agent",
        "run",
        "effect",
        "tool",
        "kind",
        "class",
        "request_hash",
        "created_at",
    )
    return {name: row[name] for name in (*kept, "expires_at")} | read_back(row)


def read_back(row: Mapping[str, Any]) -> dict[str, Any]:
    """What would be sent, out of its exact bytes. `row` has kind, to and message.

    Of a mail: from, to, subject, body (its lines end with a line feed); of everything else: to, url (empty if it is no
    HTTP request), request.
    """
    if row["kind"] != "mail":
        asked = json.loads(bytes(row["message"]))
        return {"to": row["to"], "url": _url(asked) if row["kind"] == "http" else "", "request": asked}
    mail = email.message_from_bytes(bytes(row["message"] or b""), policy=email.policy.default)
    headers = {"from": str(mail["From"] or ""), "to": row["to"], "subject": str(mail["Subject"] or "")}
    return headers | {"body": str(mail.get_content()).replace("\r\n", "\n")}


def _url(asked: dict[str, Any]) -> str:
    """Method and URL, as people read them, of the bytes that will be sent."""
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in asked["query"])
    return f"{asked['method']} {asked['base'].rstrip('/')}{asked['path']}" + (f"?{query}" if query else "")


async def overview(conn: pool.Conn) -> dict[str, Any]:
    """How many runs are queued, running, waiting and failed, and what this UTC day has cost."""
    return dict(await (await conn.execute(Q["overview"])).fetchone() or {})
