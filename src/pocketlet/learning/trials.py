"""Trials: runs on a case's input with sends captured, each ending in pass, fail or unknown.

The context-hash rule: a case whose briefing is the same under the draft can't come out differently, so it is not run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import briefing as briefings
from pocketlet.agents import journal, revisions, runs
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases, gate

Q = queries.load("trials")
BY_ITSELF = 0  # in the place of a curation: what learning does unasked is booked on its day
ALIKE = 2  # cases that were told the same lessons and are admitted on the owner's "right" alone
Compile = Callable[[playbooks.Playbook, tasks.Task, Mapping[str, str], str], briefings.Briefing]


@dataclass(frozen=True, slots=True)
class Affected:
    """A case whose briefing a draft changes. `facts` are those that the draft finds in its task."""

    case: cases.Case
    facts: Mapping[str, str]
    before: briefings.Briefing
    after: briefings.Briefing


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial is to be: of `revision`, for the sake of `draft`, on a case.

    `purpose`: trigger, before, regression, admission, audit or compare. `curation` is the manager's run that pays,
    `verdict` pending, pass, fail or unknown, `gates` whether the decision on the draft rests on it.
    """

    revision: int
    draft: int
    case: int
    purpose: str
    curation: int | None = None
    model: str | None = None
    verdict: str = "pending"
    gates: bool = False


def affected(
    found: Sequence[cases.Case], old: playbooks.Playbook, new: playbooks.Playbook, compiled: Compile
) -> list[Affected]:
    """The cases that the draft touches. Compiling costs no model call, so all are looked at."""
    touched: list[Affected] = []
    was, now = old.manifest, new.manifest
    for case in found:
        task = tasks.from_record(case.input)
        facts = tasks.facts(task, now)
        in_use = case.model_in_use or was.model
        before = compiled(old, task, tasks.facts(task, was), in_use)
        after = compiled(new, task, facts, in_use if now.model == was.model else now.model)
        if before.hash != after.hash:
            touched.append(Affected(case, facts, before, after))
    return touched


async def start(conn: pool.Conn, agent: agents.Agent, trial: Trial) -> int:
    """Queues a trial; its run."""
    case = await (await conn.execute(Q["case"], {"case": trial.case})).fetchone() or {}
    values = {"agent": agent.id, "kind": "trial", "revision": trial.revision, "case": trial.case}
    values |= {name: case[name] for name in ("input", "raw", "facts", "label")}
    run = await runs.insert(conn, values | {"curation": trial.curation, "model": trial.model or case["model"]})
    row = {"agent": agent.id, "revision": trial.revision, "draft": trial.draft, "case": trial.case}
    await conn.execute(Q["add"], row | {"purpose": trial.purpose, "run": run})
    return run


async def admit(conn: pool.Conn, agent: agents.Agent, case: int) -> None:
    """Queues the next trial towards a case's three passes, if it has one and lacks another."""
    row = await (await conn.execute(Q["admissible"], {"case": case, "passes": cases.PASSES})).fetchone()
    if row and not row["pending"]:
        await start(conn, agent, Trial(agent.current, agent.current, case, "admission", BY_ITSELF))


async def admit_accepted(conn: pool.Conn, agent: agents.Agent, case: int) -> None:
    """The same for a case that the owner called right, unless enough of its kind are known: a trial costs money."""
    row = await (await conn.execute(Q["alike"], {"case": case})).fetchone()
    if row and row["others"] < ALIKE:
        await admit(conn, agent, case)


async def judge(conn: pool.Conn, run: runs.Run, steps: Sequence[journal.Step], result: str) -> Trial | None:
    """The verdict on a finished trial; the trial, or None if the run is of none."""
    row = await (await conn.execute(Q["of_run"], {"run": run.id})).fetchone()
    if row is None:
        return None
    assertions = await cases.assertions(conn, row["case"], row["draft"])
    made = await cases.work_of(conn, run.id)
    failed = asserting.failing(assertions, asserting.Work(made.mails, result, made.calls))
    unknown = [f"step {step.seq}: {step.tool} was not recorded" for step in steps if step.meta.get("unknown")]
    verdict = "unknown" if unknown else "fail" if failed else "pass"
    evidence = {"failed": failed, "held": len(assertions) - len(failed), "unknown": unknown}
    await conn.execute(Q["verdict"], {"run": run.id, "verdict": verdict, "evidence": pool.jsonb(evidence)})
    if unknown:
        await cases.quarantine(conn, row["case"], unknown[0])
    return _trial(row, verdict)


async def could_not_run(conn: pool.Conn, run: int, error: str) -> Trial | None:
    """The trial failed or was stopped: that says nothing about the draft."""
    row = await (await conn.execute(Q["of_run"], {"run": run})).fetchone()
    if row is None:
        return None
    evidence = pool.jsonb({"failed": [], "held": 0, "unknown": [error]})
    await conn.execute(Q["verdict"], {"run": run, "verdict": "unknown", "evidence": evidence})
    return _trial(row, "unknown")


def _trial(row: Mapping[str, Any], verdict: str) -> Trial:
    names = ("revision", "draft", "case", "purpose", "curation", "model", "gates")
    return Trial(**{name: row[name] for name in names}, verdict=verdict)


async def by_hand(
    conn: pool.Conn, agent: agents.Agent, revision: int, *, audit: bool = False, case: int | None = None
) -> list[Trial]:
    """A person's own replays of a revision: on every case that can be tried, on the audit share, or on one case.

    Raises errors.NotFound.
    """
    await revisions.load(conn, agent, revision)
    found = [one for one in await cases.open_cases(conn, agent) if (not audit or one.audit) and case in (None, one.id)]
    if not found:
        what = f"no case {case} that can be tried" if case else "no case of the audit share" if audit else "no case"
        hint = f"`pocketlet cases {agent.name}` lists them; each run that you give feedback on becomes one."
        raise errors.NotFound(f"{agent.name} has {what}.", hint=hint)
    draft = max(revision, agent.current)  # what a later lesson expects counts for an earlier revision, too
    return [Trial(revision, draft, one.id, "audit" if audit else "compare") for one in found]


async def of_draft(conn: pool.Conn, agent: agents.Agent, draft: int) -> list[dict[str, Any]]:
    """Every trial for a draft, the oldest first: as in `listing`."""
    return (await listing(conn, agent, draft=draft))[::-1]


async def listing(
    conn: pool.Conn,
    agent: agents.Agent,
    *,
    draft: int | None = None,
    revision: int | None = None,
    below: int | None = None,
    most: int | None = None,
) -> list[dict[str, Any]]:
    """Trials, the newest first: case, case_run, run, purpose, attempt, verdict, evidence, subject, cost in USD.

    Those for a draft or with a revision alone; of runs before `below`; `most` of them.
    """
    values = {"agent": agent.id, "draft": draft, "revision": revision, "below": below, "most": most}
    return list(await (await conn.execute(Q["listing"], values)).fetchall())


async def report(conn: pool.Conn, agent: agents.Agent, draft: int) -> dict[str, Any]:
    """By case: fixed, same, worse, still-wrong, unknown or pending; the counts of these and of the cases that the draft
    does not touch; every attempt; and what the gate's trials cost in USD.
    """
    rows = [row for row in await of_draft(conn, agent, draft) if row["gates"]]
    by_case: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        if row["purpose"] in ("trigger", "regression"):
            by_case.setdefault(row["case"], []).append(row)
    before = [row for row in rows if row["purpose"] == "before"]
    told = [_told(attempts, before) for attempts in by_case.values()]
    counts: dict[str, int] = {}
    for row in told:
        counts[row["verdict"]] = counts.get(row["verdict"], 0) + 1
    plan = await (await conn.execute(Q["plan"], {"agent": agent.id, "draft": draft})).fetchone()
    if plan and plan["unchanged"]:
        counts["unchanged"] = plan["unchanged"]
    return {
        "trials": told,
        "counts": counts,
        "attempts": rows,
        "replays": len(rows),
        "findings": plan["findings"] if plan else [],
        "cost_usd": sum(row["cost_usd"] for row in rows),
    }


def _told(attempts: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One case in a word: of the triggering case most passes are wanted (`gate`), of a stable one a single pass.

    `before` are the trials of the revision in force, on the triggering case.
    """
    last = attempts[-1]
    counted = [row["verdict"] for row in attempts]
    passes, trigger = counted.count("pass"), last["purpose"] == "trigger"
    tried = gate.Tried(passes, counted.count("fail"), counted.count("unknown"))
    held = gate.Evidence(trigger=tried).fixed if trigger else passes > 0
    good, bad = ("fixed", "still-wrong") if trigger else ("same", "worse")
    verdict = good if held else bad
    if not held and {"unknown", "pending"} & set(counted):
        verdict = "unknown" if "unknown" in counted else "pending"
    evidence = {word: _last(attempts, verdict, word) for verdict, word in (("fail", "failed"), ("unknown", "unknown"))}
    if last["purpose"] == "trigger":
        evidence |= {"failed_before": _last(before, "fail", "failed")}
    return {
        "case": last["case"],
        "case_run": last["case_run"],
        "subject": last["subject"],
        "run": last["run"],
        "verdict": verdict,
        "passes": passes,
        "attempts": len(attempts),
        "evidence": evidence,
        "cost_usd": sum(row["cost_usd"] for row in attempts),
    }


def _last(attempts: Sequence[Mapping[str, Any]], verdict: str, word: str) -> list[str]:
    """What the last attempt that ended so says of it."""
    found = [row["evidence"][word] for row in attempts if row["verdict"] == verdict]
    return found[-1] if found else []


async def pending(conn: pool.Conn, agent: agents.Agent, draft: int) -> list[int]:
    """Runs of the gate's trials of a draft that are not judged yet."""
    rows = await of_draft(conn, agent, draft)
    return [row["run"] for row in rows if row["verdict"] == "pending" and row["gates"]]
