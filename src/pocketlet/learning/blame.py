"""Blame: which revision brought each line of the playbook, on whose word, and what that cost."""

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import revisions
from pocketlet.db import pool, queries
from pocketlet.learning import feedback

Q = queries.load("blame")
BY_LINE = "INSTRUCTIONS.md"


@dataclass(frozen=True, slots=True)
class Part:
    """Lines `first` to `last` of a file, the text of them, and the revision that brought them.

    A part is a line of the instructions, a lesson, or the lines of another file that came together.
    """

    file: str
    first: int
    last: int
    text: str
    revision: int


def of(line: Sequence[tuple[int, playbooks.Playbook]]) -> list[Part]:
    """The parts of the last playbook of `line`: a revision and all that it descends from, the oldest first.

    A lesson belongs to the revision that had it first, also if it was away in between.
    """
    files: dict[str, list[tuple[str, int]]] = {}
    lessons: dict[int, int] = {}
    for n, playbook in line:
        files = {
            path: _carried(files.get(path, []), text, n)
            for path, text in playbook.files().items()
            if not path.startswith("lessons/")
        }
        for lesson in playbook.lessons:
            lessons.setdefault(lesson.id, n)
    parts = [part for path, lines in files.items() for part in _parts(path, lines)]
    for lesson in line[-1][1].lessons if line else ():
        length = len(playbooks.spell_lesson(lesson).splitlines())
        parts.append(Part(f"lessons/{lesson.name}.md", 1, length, lesson.body, lessons[lesson.id]))
    return sorted(parts, key=lambda part: (part.file, part.first))


def _carried(before: Sequence[tuple[str, int]], text: str, n: int) -> list[tuple[str, int]]:
    """The lines of `text`: those that were there before keep their revision."""
    now = text.splitlines()
    found = [(line, n) for line in now]
    matcher = difflib.SequenceMatcher(None, [line for line, _ in before], now, autojunk=False)
    for was, start, size in matcher.get_matching_blocks():
        found[start : start + size] = before[was : was + size]
    return found


def _parts(path: str, lines: Sequence[tuple[str, int]]) -> list[Part]:
    numbered = [(number, text, n) for number, (text, n) in enumerate(lines, 1)]
    if path == BY_LINE:
        return [Part(path, number, number, text, n) for number, text, n in numbered if text.strip()]
    parts: list[Part] = []
    for n, group in groupby(numbered, key=lambda item: item[2]):
        block = list(group)
        parts.append(Part(path, block[0][0], block[-1][0], "\n".join(text for _, text, _ in block), n))
    return parts


async def document(conn: pool.Conn, agent: agents.Agent) -> list[dict[str, Any]]:
    """Each part of the playbook in force with its revision's author, reason, feedback and run, and cost in USD.

    The cost is that of the whole revision: its curation and the replays that it had to pass.
    """
    values = {"agent": agent.id, "revision": agent.current}
    origins = {row["revision"]: row for row in await (await conn.execute(Q["line"], values)).fetchall()}
    line = [(n, await revisions.load(conn, agent, n)) for n in origins]
    return [asdict(part) | origins[part.revision] for part in of(line)]


async def purpose(conn: pool.Conn, run: int, kind: str) -> dict[str, Any] | None:
    """What a run is for: of a trial the case, the draft and the verdict; of a manager's run the feedback and the draft.

    None for other runs.
    """
    if kind == "trial":
        row = await (await conn.execute(Q["trial"], {"run": run})).fetchone()
        return dict(row) if row else None
    if kind != "manager":
        return None
    said = await feedback.of_curation(conn, run)
    given = [{"feedback": item.id, "run": item.run_id, "verdict": item.verdict} for item in said]
    outcomes = [(await feedback.outcome(conn, item.id))["outcome"] for item in said]
    return {
        "feedback": given,
        "revision": await feedback.draft_of(conn, run),
        "outcome": next(iter(outcomes), None),
    }
