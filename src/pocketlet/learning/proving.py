"""A draft on its way through the gate: looked at, tried one replay at a time, and decided on.

Each step is taken in the transaction in which the replay before it ended, so a worker that is killed loses none and
doubles none; `gate` says what the step is, `pocketlet.candidate` and the trials' rows are all that is remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pocketlet.agents import agent as agents
from pocketlet.agents import briefing as briefings
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import revisions, runs, work
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries
from pocketlet.learning import adoption, canary, cases, feedback, gate, lint, precedence, scope, trials
from pocketlet.learning import assertions as asserting

Q = queries.load("proving")


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft and what it comes from. `origin` and `case` are those of the corrected run, None and 0 of a talk."""

    n: int
    old: playbooks.Playbook
    new: playbooks.Playbook
    origin: precedence.Origin | None
    case: int = 0
    curation: int | None = None
    feedback: tuple[int, ...] = ()
    narrowings: int = 0
    explicit: bool = True
    owner_decides: bool = False


async def begin(conn: pool.Conn, agent: agents.Agent, draft: Draft) -> None:
    """Looks at the draft without a model, writes down what was found, and takes the first step."""
    found = [case for case in await cases.open_cases(conn, agent) if case.id != draft.case]
    touched = trials.affected(found, draft.old, draft.new, work.compiled)
    known = [await _known(conn, item, draft) for item in touched]
    reach = scope.of(draft.old, draft.new, known, draft.origin)
    rebased = [item.case.id for item in touched if await _rebase(conn, agent, item)]
    overhead = max((item.after.overhead_tokens for item in touched), default=_overhead(draft))
    findings = lint.findings(draft.old, draft.new, draft.origin, overhead=overhead)
    findings += [reach.finding] if reach.finding else []
    findings += _promised(found, reach, rebased)
    stable = [item.case for item in touched if _gates(item, {*reach.retires, *reach.contested})]
    stable.sort(key=lambda case: (not case.pinned, case.id not in reach.risky))  # the newest first already
    sample = stable[: max(gate.SAMPLED, sum(case.pinned for case in stable))]
    row = {
        "agent": agent.id,
        "revision": draft.n,
        "case": draft.case or None,
        "curation": draft.curation,
        "feedback": list(draft.feedback),
        "findings": pool.jsonb([_record(finding) for finding in findings]),
        "sample": [case.id for case in sample],
        "pinned": [case.id for case in sample if case.pinned],
        "retires": list(reach.retires),
        "contested": list(reach.contested),
        "touched": len(stable),
        "unchanged": len(found) - len(touched),
        "narrowings": draft.narrowings,
        "explicit": draft.explicit,
        "owner_decides": draft.owner_decides,
        "overhead": overhead,
        "model": new_model if (new_model := draft.new.manifest.model) != draft.old.manifest.model else None,
    }
    await conn.execute(Q["add"], row)
    await proceed(conn, agent, draft.n)


def _overhead(draft: Draft) -> int:
    nothing = tasks.Task("text", "", "owner")
    return work.compiled(draft.new, nothing, {}, draft.new.manifest.model).overhead_tokens


async def _known(conn: pool.Conn, item: trials.Affected, draft: Draft) -> scope.Known:
    done = await cases.work_of(conn, item.case.run) if item.case.accepted else None
    asserted = tuple(await cases.assertions(conn, item.case.id, draft.n))
    return scope.Known(item, done, asserted, await cases.words(conn, item.case.id))


async def _rebase(conn: pool.Conn, agent: agents.Agent, item: trials.Affected) -> bool:
    """A stable case of another model has to be admitted anew, before anything is held against a lesson."""
    if item.case.state != "stable" or item.case.model in (None, item.before.model):
        return False
    await cases.rebase(conn, item.case.id)
    await trials.start(
        conn, agent, trials.Trial(agent.current, agent.current, item.case.id, "admission", trials.BY_ITSELF)
    )
    return True


def _promised(found: Sequence[cases.Case], reach: scope.Reach, rebased: Sequence[int]) -> list[gate.Finding]:
    """Promises: a pinned case is not given up, and a case of another model is not passed over, without being asked."""
    spoken_of = {*reach.retires, *reach.contested}
    findings: list[gate.Finding] = []
    if pinned := [case.id for case in found if case.pinned and case.id in spoken_of]:
        why = f"It contradicts case {', '.join(map(str, pinned))}, which you pinned."
        findings.append(gate.Finding("ask", "pinned", why))
    if rebased:
        why = f"The model has changed: case {', '.join(map(str, rebased))} is being tried on the one in use first."
        findings.append(gate.Finding("ask", "other-model", why))
    return findings


def _gates(item: trials.Affected, spoken_of: set[int]) -> bool:
    """Whether the case can hold a draft up: pinned, or stable on the model in use and not of the audit share.

    One on which the owner's new word speaks can't.
    """
    case = item.case
    here = case.model in (None, item.before.model)
    counts = case.pinned or (case.state == "stable" and here and not case.audit)
    return counts and case.state != "quarantined" and case.id not in spoken_of


def _record(finding: gate.Finding) -> dict[str, Any]:
    return {"does": finding.does, "rule": finding.rule, "why": finding.why, "facts": list(finding.facts)} | {
        "spares": list(finding.spares)
    }


def _finding(record: dict[str, Any]) -> gate.Finding:
    return gate.Finding(record["does"], record["rule"], record["why"], tuple(record["facts"]), tuple(record["spares"]))


async def proceed(conn: pool.Conn, agent: agents.Agent, n: int) -> None:
    """Takes the next step on a draft: one more replay, or the decision. Does nothing while a replay runs."""
    await agents.lock(conn, agent.id)  # two replays that end at once take one step each, in turn
    row = await (await conn.execute(Q["get"], {"agent": agent.id, "revision": n})).fetchone()
    if row is None or row["pending"] or not _open(row):
        return
    agent = await agents.by_id(conn, agent.id)
    evidence = await _evidence(conn, agent, row)
    step = gate.after(evidence)
    if isinstance(step, gate.Verdict):
        await _decide(conn, agent, row, step, evidence)
        return
    before = step.purpose == "before"
    revision, model = (row["parent"], None) if before else (n, row["model"])
    await trials.start(conn, agent, trials.Trial(revision, n, step.case, step.purpose, row["curation"], model))


def _open(row: dict[str, Any]) -> bool:
    """Whether the gate has not decided yet, or could only not tell: then a replay that is tried again counts."""
    return row["state"] == "draft" or (row["state"] == "asked" and row["rule"] == "unknown")


async def _evidence(conn: pool.Conn, agent: agents.Agent, row: dict[str, Any]) -> gate.Evidence:
    counted: dict[tuple[str, int], dict[str, int]] = {}
    for trial in await trials.of_draft(conn, agent, row["revision"]):
        tally = counted.setdefault((trial["purpose"], trial["case"]), {})
        tally[trial["verdict"]] = tally.get(trial["verdict"], 0) + 1

    def tried(purpose: str, case: int) -> gate.Tried:
        tally = counted.get((purpose, case), {})
        return gate.Tried(tally.get("pass", 0), tally.get("fail", 0), tally.get("unknown", 0))

    case = row["case_id"] or 0
    return gate.Evidence(
        findings=tuple(_finding(item) for item in row["findings"]),
        case=case,
        spent=row["spent"],
        trigger=tried("trigger", case),
        before=tried("before", case),
        stable={number: tried("regression", number) for number in row["sample"]},
        pinned=frozenset(row["pinned"]),
        touched=row["touched"],
        narrowings=row["narrowings"],
        explicit=row["explicit"],
        owner_decides=row["owner_decides"],
    )


async def _decide(
    conn: pool.Conn, agent: agents.Agent, row: dict[str, Any], verdict: gate.Verdict, evidence: gate.Evidence
) -> None:
    n = row["revision"]
    stale = verdict.does != "discard" and row["parent"] != agent.current
    if stale:  # the owner went to another revision meanwhile: the feedback is taken up anew
        why = f"Revision {agent.current} counts since, and this was drafted from revision {row['parent']}."
        verdict = gate.Verdict("discard", "stale", why)
    if verdict.does == "narrow" and await _narrow(conn, agent, row, verdict, evidence):
        return
    if verdict.does == "narrow":
        verdict = gate.Verdict("ask", verdict.rule, verdict.why)
    if verdict.rule == "unknown":
        verdict = gate.Verdict("ask", "unknown", f"{verdict.why} {await _trouble(conn, agent, n)}".strip())
    document = await _document(conn, agent, row, verdict, evidence)
    await revisions.decide(conn, agent, n, verdict.does, author="gate", because=verdict.why, evidence=document)
    if verdict.does == "adopt":
        agent = await agents.by_id(conn, agent.id)
        await adoption.take_effect(conn, agent, n)
    if stale:
        await feedback.take_back(conn, row["feedback"])
    else:
        await feedback.settle_all(conn, row["feedback"], _outcome(n, verdict))
    await feedback.curate(conn, agent, ending=row["curation"])


async def _trouble(conn: pool.Conn, agent: agents.Agent, n: int) -> str:
    """What was wrong with the replay that could not be carried out, and what to do."""
    for trial in await trials.of_draft(conn, agent, n):
        if trial["verdict"] == "unknown":
            again = (
                f" `pocketlet retry {trial['run']}` tries it again." if trial["state"] in ("failed", "stopped") else ""
            )
            return f"{'; '.join(trial['evidence']['unknown'])[:300].rstrip('.')}.{again}"
    return ""


def _outcome(n: int, verdict: gate.Verdict) -> str:
    match verdict.does:
        case "adopt":
            return f"adopted as revision {n} ({verdict.rule}): {verdict.why}"
        case "ask":
            return f"asked, revision {n} waits for your word: {verdict.why}"
        case _:
            return f"discarded, revision {n}: {verdict.why}"


async def _document(
    conn: pool.Conn, agent: agents.Agent, row: dict[str, Any], verdict: gate.Verdict, evidence: gate.Evidence
) -> dict[str, Any]:
    """Every figure that the decision rests on."""
    told = await trials.report(conn, agent, row["revision"])
    kept = ("touched", "unchanged", "sample", "pinned", "retires", "contested", "findings", "overhead", "model")
    return {name: row[name] for name in (*kept, "narrowings", "explicit", "owner_decides", "spent")} | {
        "rule": verdict.rule,
        "proven": evidence.proven,
        "counts": told["counts"],
        "replays": evidence.replays,
        "cost_usd": str(told["cost_usd"]),
        "trigger": _tally(evidence.trigger),
        "before": _tally(evidence.before),
        "stable": {str(case): _tally(tried) for case, tried in evidence.stable.items()},
        "thresholds": {
            "needed": gate.NEEDED, "attempts": gate.ATTEMPTS, "majority": gate.MAJORITY, "wavering": gate.WAVERING,
            "before": gate.BEFORE, "sampled": gate.SAMPLED, "many": gate.MANY, "aim": gate.AIM, "replays": gate.MOST,
            "narrowings": gate.NARROWINGS, "overhead": gate.OVERHEAD, "canary_runs": canary.RUNS,
            "canary_wrong": canary.WRONG,
        },
    }  # fmt: skip


def _tally(tried: gate.Tried) -> dict[str, int]:
    return {"passes": tried.passes, "fails": tried.fails, "unknown": tried.unknown}


async def judged(conn: pool.Conn, agent: agents.Agent, trial: trials.Trial) -> None:
    """A trial has its verdict: the draft, or the case's admission, goes on."""
    if trial.gates:
        await proceed(conn, agent, trial.draft)
    elif trial.purpose == "admission" and trial.revision == agent.current and trial.verdict != "unknown":
        passed = trial.verdict == "pass"
        await cases.tried(conn, trial.case, trial.model or "", passed=passed)
        if passed:
            await trials.admit(conn, agent, trial.case)


async def _narrow(
    conn: pool.Conn, agent: agents.Agent, row: dict[str, Any], verdict: gate.Verdict, evidence: gate.Evidence
) -> bool:
    """Puts a narrower draft in the place of this one; whether there is one."""
    draft = await _draft(conn, agent, row)
    if draft.origin is None:
        return False
    new, how = await _narrower(conn, agent, draft, draft.origin, verdict, evidence)
    if _scopes(new) == _scopes(draft.new):
        return False
    change = revisions.Change(
        f"narrowed to {how}: {verdict.why}"[:500],
        "manager",
        row["parent"],
        row["feedback"][0] if row["feedback"] else None,
        row["curation"],
    )
    n = await revisions.add(conn, agent, new, change)
    await conn.execute(Q["copy_assertions"], {"agent": agent.id, "from": row["revision"], "to": n})
    document = {"rule": verdict.rule, "narrowed_to": n, "findings": row["findings"], "narrowed_by": how}
    why = f"{verdict.why} Revision {n} is narrower."
    await revisions.decide(conn, agent, row["revision"], "narrow", author="gate", because=why, evidence=document)
    stored = await revisions.load(conn, agent, n)
    again = replace(draft, n=n, new=stored, narrowings=draft.narrowings + 1)
    await begin(conn, agent, again)
    return True


async def _narrower(
    conn: pool.Conn,
    agent: agents.Agent,
    draft: Draft,
    origin: precedence.Origin,
    verdict: gate.Verdict,
    evidence: gate.Evidence,
) -> tuple[playbooks.Playbook, str]:
    """The narrower playbook (the same if there is none), and how it is narrowed."""
    finding = next((item for item in evidence.findings if item.does == "narrow"), None)
    facts = finding.facts if finding else ()
    if finding and finding.spares:
        names = [lesson.name for lesson in draft.old.lessons if lesson.id in finding.spares]
        return scope.spared(draft.old, draft.new, finding.spares), f"all but what {', '.join(names)} is about"
    if verdict.rule == "regression":
        broken = [case for case in await cases.open_cases(conn, agent) if case.id in evidence.broken]
        facts = scope.distinguishing([case.facts for case in broken], origin.facts, draft.old)
    new = scope.narrowed(draft.old, draft.new, facts, origin.facts) if facts else draft.new
    return new, ", ".join(f"{fact}={origin.facts[fact]}" for fact in facts)


def _scopes(playbook: playbooks.Playbook) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    return [(lesson.body, tuple(sorted(lesson.predicate.items()))) for lesson in playbook.lessons]


async def _draft(conn: pool.Conn, agent: agents.Agent, row: dict[str, Any]) -> Draft:
    old = await revisions.load(conn, agent, row["parent"])
    new = await revisions.load(conn, agent, row["revision"])
    return Draft(
        n=row["revision"],
        old=old,
        new=new,
        origin=await origin_of(conn, row["feedback"]),
        case=row["case_id"] or 0,
        curation=row["curation"],
        feedback=tuple(row["feedback"]),
        narrowings=row["narrowings"],
        explicit=row["explicit"],
        owner_decides=row["owner_decides"],
    )


async def origin_of(conn: pool.Conn, given: Sequence[int]) -> precedence.Origin | None:
    """What a curation rests on: all that the owner said of one run, and the run. None without feedback on a run."""
    said = [await feedback.get(conn, number) for number in given]
    run = next((item.run_id for item in said if item.run_id), None)
    if run is None:
        return None
    found = await runs.load(conn, run)
    done = await cases.work_of(conn, run)
    told = briefings.from_record(found.briefing).lessons if found.briefing else ()
    words = [item.comment for item in said]
    words += [asserting.inserted(done.draft, item.edited) for item in said if item.edited]
    return precedence.Origin("\n".join(words), tasks.from_record(found.input), found.facts, done, told)
