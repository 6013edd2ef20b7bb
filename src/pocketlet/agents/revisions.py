"""Revisions of an agent's playbook: written once, one of them current, every change with a reason and an author."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents.triggers import stored as triggers
from pocketlet.db import pool, queries

Q = queries.load("revisions")
#: States of a revision that nothing final was said on.
OPEN = ("draft", "asked")
#: Decisions that leave the current revision as it is.
STANDING_STILL = ("ask", "narrow", "discard")


@dataclass(frozen=True, slots=True)
class Change:
    """Why a revision came to be: `author` is owner or manager; the feedback and the curation run, if it has them."""

    reason: str
    author: str = "owner"
    parent: int | None = None
    feedback: int | None = None
    run: int | None = None


async def load(conn: pool.Conn, agent: agents.Agent, n: int) -> playbooks.Playbook:
    """The playbook of revision `n`. Raises errors.NotFound."""
    row = await (await conn.execute(Q["get"], {"agent": agent.id, "n": n})).fetchone()
    if row is None:
        raise _missing(agent, n)
    lessons = await (await conn.execute(Q["lessons"], {"ids": row["lessons"]})).fetchall()
    return playbooks.Playbook(
        manifest_text=row["manifest"],
        instructions=row["instructions"],
        lessons=tuple(_lesson(found) for found in lessons),
        skills=tuple(playbooks.parse_skill(name, files) for name, files in sorted(row["skills"].items())),
        schema_files=row["schema_files"],
        tables=row["tables"],
    )


def _lesson(row: Mapping[str, Any]) -> playbooks.Lesson:
    names = ("name", "topic", "body", "predicate", "authority", "since", "label")
    fields = {name: row[name] for name in names}
    fields |= {"feedback": row["feedback_id"], "run": row["run_id"], "id": row["id"]}
    return playbooks.Lesson(**fields, expect=tuple(row["expect"]))


async def add(conn: pool.Conn, agent: agents.Agent, playbook: playbooks.Playbook, change: Change) -> int:
    """Stores a draft; its number. Lessons without an id become rows; a name that is taken gets a number."""
    await agents.lock(conn, agent.id)
    taken = {row["name"] for row in await (await conn.execute(Q["names"], {"agent": agent.id})).fetchall()}
    lessons: list[playbooks.Lesson] = []
    for lesson in playbook.lessons:
        if lesson.id:
            lessons.append(lesson)
            continue
        name = next(name for name in _spellings(lesson.name) if name not in taken)
        taken.add(name)
        row = await (await conn.execute(Q["add_lesson"], _lesson_row(agent, replace(lesson, name=name)))).fetchone()
        lessons.append(replace(lesson, name=name, id=row["id"] if row else 0))
    stored = replace(playbook, lessons=tuple(lessons))
    values = {
        "agent": agent.id,
        "parent": change.parent,
        "reason": change.reason,
        "author": change.author,
        "feedback": change.feedback,
        "run": change.run,
        "manifest": playbook.manifest_text,
        "instructions": playbook.instructions,
        "skills": pool.jsonb({skill.name: dict(skill.files) for skill in playbook.skills}),
        "schema_files": pool.jsonb(dict(playbook.schema_files)),
        "lessons": [lesson.id for lesson in lessons],
        "tables": playbook.tables,
        "digest": stored.digest,
    }
    row = await (await conn.execute(Q["add"], values)).fetchone()
    return row["n"] if row else 0


def _spellings(name: str) -> list[str]:
    return [name, *(f"{name[:60]}-{number}" for number in range(2, 1000))]


def _lesson_row(agent: agents.Agent, lesson: playbooks.Lesson) -> dict[str, object]:
    return {
        "agent": agent.id,
        "name": lesson.name,
        "topic": lesson.topic,
        "body": lesson.body,
        "predicate": pool.jsonb(dict(lesson.predicate)),
        "expect": pool.jsonb([dict(item) for item in lesson.expect]),
        "authority": lesson.authority,
        "label": lesson.label,
        "feedback": lesson.feedback,
        "run": lesson.run,
        "since": lesson.since,
    }


async def decide(conn: pool.Conn, agent: agents.Agent, n: int, verdict: str, **why: object) -> None:
    """Writes a decision row and, for import, adopt, rollback and revert, makes `n` current.

    `why`: because (text), evidence (jsonb), author. Raises errors.NotFound, errors.Conflict.
    """
    row = await (await conn.execute(Q["state"], {"agent": agent.id, "n": n})).fetchone()
    if row is None:
        raise _missing(agent, n)
    if row["current"] == n and verdict != "import":
        raise errors.Conflict(f"Revision {n} is the current one.")
    _check(n, row["state"], verdict)
    if verdict == "adopt" and row["state"] in OPEN and row["parent"] != row["current"]:
        raise errors.Conflict(
            f"Revision {n} was drafted from revision {row['parent']}, and revision {row['current']} counts now.",
            hint="Adopting it would drop what came in between: give the feedback again, then adopt the new draft.",
        )
    values = {"agent": agent.id, "n": n, "verdict": verdict, "author": why.get("author", "owner")}
    values |= {"because": why.get("because", ""), "evidence": pool.jsonb(why.get("evidence", {}))}
    await conn.execute(Q["decide"], values)
    if verdict not in STANDING_STILL:
        await conn.execute(Q["point"], {"agent": agent.id, "n": n})
        manifest = (await load(conn, agent, n)).manifest
        await triggers.follow(conn, agent.id, agent.name, manifest.triggers)


def _check(n: int, state: str, verdict: str) -> None:
    decides = verdict in STANDING_STILL
    if (decides and state not in OPEN) or (verdict == "adopt" and state in ("discarded", "narrowed")):
        raise errors.Conflict(f"Revision {n} is {state}, not a draft.")


async def history(
    conn: pool.Conn, agent: agents.Agent, *, below: int | None = None, most: int | None = None
) -> list[dict[str, Any]]:
    """Revisions with their state (current, draft, asked, adopted, narrowed, discarded), newest first: all, or at most
    so many with numbers `below` that one.
    """
    return list(await (await conn.execute(Q["history"], {"agent": agent.id, "below": below, "most": most})).fetchall())


async def one(conn: pool.Conn, agent: agents.Agent, n: int) -> dict[str, Any]:
    """What `history` says of revision `n`. Raises errors.NotFound."""
    row = next(iter(await history(conn, agent, below=n + 1, most=1)), None)
    if row is None or row["revision"] != n:
        raise _missing(agent, n)
    return row


def _missing(agent: agents.Agent, n: int) -> errors.NotFound:
    return errors.NotFound(f"{agent.name} has no revision {n}.", hint=f"`pocketlet revisions {agent.name}` lists them.")


async def before(conn: pool.Conn, agent: agents.Agent) -> int:
    """The revision that was current before the current one. Raises errors.NotFound."""
    row = await (await conn.execute(Q["before"], {"agent": agent.id, "n": agent.current})).fetchone()
    if row is None:
        raise errors.NotFound(f"{agent.name} has no revision before {agent.current} to go back to.")
    return row["revision"]


def diff(old: playbooks.Playbook, new: playbooks.Playbook, names: Sequence[str] = ("before", "after")) -> str:
    """A unified diff over the files of two playbooks; empty if they are the same."""
    before_files, after_files = old.files(), new.files()
    lines: list[str] = []
    for path in sorted(before_files.keys() | after_files.keys()):
        was = before_files.get(path, "").splitlines()
        now = after_files.get(path, "").splitlines()
        lines += difflib.unified_diff(was, now, f"{names[0]}/{path}", f"{names[1]}/{path}", lineterm="")
    return "\n".join(lines)
