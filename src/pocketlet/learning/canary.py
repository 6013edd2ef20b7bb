"""After adoption: the first runs that cite a new lesson are watched, and a lesson that does harm is taken back.

Harm is a run that did what the lesson says and was called wrong. One may have another reason; two of the first three
have not. A wrong run that did not do what the lesson says is the model's fault, not the lesson's. Later on, a lesson
that loses more than it wins over ten judged runs is not taken back: its owner said it, so its owner is asked.
"""

from dataclasses import replace
from typing import Any

from pocketlet.agents import agent as agents
from pocketlet.agents import revisions
from pocketlet.db import pool, queries
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases

Q = queries.load("canary")
RUNS = 3  # citing runs that a new lesson is watched for
WRONG = 2  # of them called wrong: it is taken back
LAST = 10  # judged runs that a lesson's worth is read from later


async def noted(conn: pool.Conn, agent: agents.Agent, run: int, verdict: str, feedback: int) -> list[int]:
    """A verdict on a run: takes back each new lesson that the run cites and that has now done harm; their ids."""
    if verdict == "right":
        return []
    reverted: list[int] = []
    for row in await standing(conn, agent, run):
        followed = await _followed(conn, row) if row["watched"] and row["wrong"] >= WRONG else 0
        if followed >= WRONG:
            await _revert(conn, await agents.by_id(conn, agent.id), row | {"followed": followed}, feedback)
            reverted.append(row["lesson"])
        elif row["last_right"] + row["last_wrong"] >= LAST and row["last_wrong"] > row["last_right"]:
            await _ask_to_retire(conn, await agents.by_id(conn, agent.id), row)
    return reverted


async def _followed(conn: pool.Conn, row: dict[str, Any]) -> int:
    """In how many of the runs that were called wrong the work was as the lesson says."""
    expected = [asserting.read(item) for item in row["expect"]]
    works = [await cases.work_of(conn, run) for run in row["wrong_runs"]]
    return sum(not asserting.failing(expected, made) for made in works)


async def standing(conn: pool.Conn, agent: agents.Agent, run: int | None = None) -> list[dict[str, Any]]:
    """Each lesson in force (that `run` cites), with its revision.

    Of its first citing runs: how many were called right and wrong, and whether `run` is one of them (`watched`). The
    same of the last ones that were judged.
    """
    rows = await (
        await conn.execute(Q["standing"], {"agent": agent.id, "run": run, "runs": RUNS, "last": LAST})
    ).fetchall()
    return list(rows)


async def _revert(conn: pool.Conn, agent: agents.Agent, row: dict[str, Any], feedback: int) -> None:
    """A revision without the lesson, and with what it had taken the place of; cases follow."""
    now = await revisions.load(conn, agent, agent.current)
    came = await revisions.load(conn, agent, row["revision"])
    before = await revisions.load(conn, agent, row["parent"])
    kept = tuple(lesson for lesson in now.lessons if lesson.id != row["lesson"])
    came_ids, have = {lesson.id for lesson in came.lessons}, {lesson.id for lesson in kept}
    back = tuple(lesson for lesson in before.lessons if lesson.id not in came_ids | have)
    why = (
        f"{row['followed']} of the first {row['judged']} judged runs did what lesson {row['name']} says and were wrong."
    )
    change = revisions.Change(f"took lesson {row['name']} back", "manager", agent.current, feedback)
    n = await revisions.add(conn, agent, replace(now, lessons=kept + back), change)
    evidence = {name: row[name] for name in ("lesson", "name", "revision", "right", "wrong", "judged", "followed")}
    evidence |= {"thresholds": {"canary_runs": RUNS, "canary_wrong": WRONG}}
    await revisions.decide(conn, agent, n, "revert", author="gate", because=why, evidence=evidence)
    await cases.come_back(conn, agent, row["revision"])
    if case := (await (await conn.execute(Q["case"], {"agent": agent.id, "revision": row["revision"]})).fetchone()):
        await cases.retire(conn, case["id"], f"it rests on lesson {row['name']}, which was taken back", feedback, n)


async def _ask_to_retire(conn: pool.Conn, agent: agents.Agent, row: dict[str, Any]) -> None:
    """A revision without the lesson that waits for the owner's word; they are asked once."""
    asked = await conn.execute(Q["asked_to_retire"], {"agent": agent.id, "lesson": row["lesson"]})
    if await asked.fetchone():
        return
    now = await revisions.load(conn, agent, agent.current)
    kept = tuple(lesson for lesson in now.lessons if lesson.id != row["lesson"])
    why = f"Of the last {LAST} judged runs that cite lesson {row['name']}, {row['last_wrong']} were wrong."
    change = revisions.Change(f"retire lesson {row['name']}", "manager", agent.current)
    n = await revisions.add(conn, agent, replace(now, lessons=kept), change)
    evidence = {"retires_lesson": row["lesson"], "right": row["last_right"], "wrong": row["last_wrong"]}
    await revisions.decide(conn, agent, n, "ask", author="gate", because=why, evidence=evidence)
