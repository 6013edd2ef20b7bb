"""Trials: a draft's runs on past cases, with sends captured; and the verdicts that a person decides on.

The context-hash rule: a case whose briefing is the same under the draft can't come out differently, so it is not run.
"""

from collections.abc import Callable, Mapping
from typing import Any

from pocketlet.agents import agent as agents
from pocketlet.agents import briefing as briefings
from pocketlet.agents import cases, runs
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries

Q = queries.load("trials")
Compile = Callable[[playbooks.Playbook, tasks.Task, Mapping[str, str], str], briefings.Briefing]


async def begin(
    conn: pool.Conn,
    agent: agents.Agent,
    revisions: tuple[tuple[int, playbooks.Playbook], tuple[int, playbooks.Playbook]],
    compiled: Compile,
) -> int:
    """Queues a trial for each case that the draft touches; how many. `revisions`: the current one, then the draft."""
    (_, current), (draft, new) = revisions
    started = 0
    for case in await cases.open_cases(conn, agent):
        task = tasks.from_record(case["input"])
        model = case["model"] or new.manifest.model
        before = compiled(current, task, tasks.facts(task, current.manifest), model).hash
        facts = tasks.facts(task, new.manifest)
        after = compiled(new, task, facts, model).hash
        row: dict[str, Any] = {"agent": agent.id, "revision": draft, "case": case["case"], "run": None}
        row |= {"verdict": "unchanged", "evidence": pool.jsonb({"briefing_before": before, "briefing_after": after})}
        if before != after:
            values = {"agent": agent.id, "kind": "trial", "revision": draft, "input": case["input"], "raw": case["raw"]}
            values |= {"facts": facts, "label": case["label"], "case": case["case"], "model": model}
            row |= {"run": await runs.insert(conn, values), "verdict": "pending"}
            started += 1
        await conn.execute(Q["add"], row)
    return started


async def judge(conn: pool.Conn, run: runs.Run, result: str) -> None:
    """The verdict on a finished trial, against the run that the case was made of."""
    row = await (await conn.execute(Q["of_run"], {"run": run.id})).fetchone()
    if row is None:
        return
    assertions = await cases.assertions(conn, row["case"], run.revision)
    before = await cases.work_of(conn, row["case_run"])
    after = cases.Work((await cases.work_of(conn, run.id)).mails, result)
    was, now = cases.failing(assertions, before), cases.failing(assertions, after)
    match bool(was), bool(now):
        case True, False:
            verdict = "fixed"
        case True, True:
            verdict = "still-wrong"
        case False, True:
            verdict = "worse"
        case _:
            verdict = "same"
    evidence = {"failed_before": was, "failed_after": now, "held": len(assertions) - len(now)}
    await conn.execute(Q["verdict"], {"id": row["id"], "verdict": verdict, "evidence": pool.jsonb(evidence)})


async def report(conn: pool.Conn, agent: agents.Agent, revision: int) -> dict[str, Any]:
    """Every trial of a draft, the counts of the verdicts, and what the trials cost in USD."""
    rows = list(await (await conn.execute(Q["report"], {"agent": agent.id, "revision": revision})).fetchall())
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    return {"trials": rows, "counts": counts, "cost_usd": sum(row["cost_usd"] for row in rows)}


async def pending(conn: pool.Conn, agent: agents.Agent, revision: int) -> list[int]:
    """Runs of the draft's trials that are not at rest."""
    return [row["run"] for row in (await report(conn, agent, revision))["trials"] if row["verdict"] == "pending"]
