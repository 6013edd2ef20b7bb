"""The manager: the same loop as any run, with a briefing of its own and tools that only draft.

It reads typed reports (facts, numbers, states) and the owner's own words. Text from outside it can open, in a bounded
quote; from then on its run is `outside`, and what it drafts can only ask.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import briefing as briefings
from pocketlet.agents import journal, lookups, loop, revisions, runs, toolbox
from pocketlet.agents import manifest as manifests
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import task as tasks
from pocketlet.db import pool
from pocketlet.learning import assertions as asserting
from pocketlet.learning import cases, lint, precedence, proving, thread, wording
from pocketlet.learning import feedback as feedbacks
from pocketlet.policy import core

NOTING = ("draft_lesson", "retire_lesson", "set_instructions")
QUOTE = 2_000  # characters of a draft that it may open
INFERRED = ("sent", "backtest")  # what the owner did, but did not put into words


async def brief(conn: pool.Conn, work: loop.Work, model: str) -> briefings.Briefing:
    """The manager's briefing: the playbook in full, the feedback, and the report of the run it is about."""
    said = await feedbacks.of_curation(conn, work.run.id)
    if not said or said[0].run_id is None:
        raise errors.Failed("This curation run has no feedback to work on.")
    return briefings.Briefing(
        system=system("manager", work.playbook),
        user=f"{await _feedback(conn, said)}\n\n{await _report(conn, said[0].run_id, work.playbook)}",
        tools=tuple(tool.offer for tool in TOOLS.values()),
        model=model,
        max_tokens=work.playbook.manifest.max_tokens,
    )


def system(name: str, playbook: playbooks.Playbook, *more: tuple[str, str]) -> str:
    """A prompt of the package, and the playbook in full."""
    manifest = playbook.manifest
    skills = "\n\n".join(f"## skill {skill.name}\n{skill.text.strip()}" for skill in playbook.skills)
    facts = "\n".join(f"- {fact}: {', '.join([*values, 'other'])}" for fact, values in manifest.facts.items())
    sections = [briefings.prompt(name), *(briefings.section(title, text) for title, text in more)]
    sections += [
        briefings.section("Job", manifest.job),
        briefings.section("Instructions", playbook.instructions),
        briefings.section("Lessons", "\n".join(_lesson_line(lesson) for lesson in playbook.lessons)),
        briefings.section("Skills", skills),
        briefings.section("Facts", facts),
    ]
    return "\n\n".join(text for text in sections if text)


def _lesson_line(lesson: playbooks.Lesson) -> str:
    when = ", ".join(f"{key}={value}" for key, value in sorted(lesson.predicate.items()))
    return briefings.lesson_line(lesson) + (f" (when {when})" if when else "")


async def _feedback(conn: pool.Conn, said: Sequence[feedbacks.Feedback]) -> str:
    verdict = max((item.verdict for item in said), key=feedbacks.VERDICTS.index)
    comments = [" ".join(item.comment.split()) for item in said if item.comment.strip()]
    done = await cases.work_of(conn, said[0].run_id or 0)
    edits = [asserting.inserted(done.draft, item.edited) for item in said if item.edited]
    comments += [f"{text.rstrip('.')}." for text in edits if text and not any(item.comment.strip() for item in said)]
    lines = ["# Feedback", f"run: {said[0].run_id}", f"verdict: {verdict}", f"comment: {' '.join(comments)}"]
    lines += [f"about: step {item.about['step']}" for item in said if "step" in item.about]
    lines += [f"edited: the owner's version adds: {text}" for text in edits if text]
    return "\n".join(lines)


async def _report(conn: pool.Conn, number: int, playbook: playbooks.Playbook) -> str:
    run = await runs.load(conn, number)
    known = set(re.findall(r"[a-z_][a-z0-9_]*", "\n".join(playbook.files().values()) + playbook.tables))
    lines = [f"# Report of run {number}"]
    lines.append("facts: " + ", ".join(f"{key}={value}" for key, value in sorted(run.facts.items())))
    used = len(briefings.from_record(run.briefing).lessons) if run.briefing else 0
    lines.append(f"lessons used: {used or 'none'}")
    steps = [step for step in await journal.read(conn, number) if step.kind == "tool"]
    return "\n".join([*lines, *(f"- step {step.seq} {_reported(step, known)}" for step in steps)])


def _reported(step: journal.Step, known: set[str]) -> str:
    """A step in typed values. A column's name is shown if the playbook has the word: others are the run's own."""
    if step.tool not in {*manifests.RUN_TOOLS, "finish"}:
        return "a tool that there is not: error"  # its name is the run's own words
    if step.error:
        return f"{step.tool}: error"
    if step.tool == "sql":
        kept = {name: value for name, value in step.meta.get("numbers", {}).items() if name in known}
        numbers = ", ".join(f"{name}={value}" for name, value in kept.items())
        return f"sql: {step.meta.get('rows', 0)} rows" + (f"; numbers: {numbers}" if numbers else "")
    return f"{step.tool}: {_mailed(step)}" if step.tool == "send_mail" else f"{step.tool}: ok"


def _mailed(step: journal.Step) -> str:
    word = re.match(r"sent|blocked|refused|failed", str(step.response))
    return word[0] if word else "not known"


async def _quote(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    async with context.database.api() as conn:
        said = await feedbacks.of_curation(conn, context.run.id)
        wanted = next((item.run_id for item in said if item.run_id == args["run"]), None)
        if wanted is None:
            raise errors.NotFound("Only the run that the feedback is about can be quoted.")
        done = await cases.work_of(conn, wanted)
    text = "\n\n".join(mail["body"] for mail in done.mails) or done.result
    return toolbox.Outcome(tasks.quote(text[:QUOTE]), label="outside")


async def _draft_lesson(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    facts = context.playbook.manifest.facts
    when = {str(key): str(value) for key, value in args.get("when", {}).items()}
    if unknown := sorted(when.keys() - {*facts, "trigger"}):
        raise errors.BadInput(f"{', '.join(unknown)} is not a fact; there are {', '.join(['trigger', *facts])}.")
    for fact, value in when.items():
        if fact in facts and value not in (*facts[fact], "other"):
            raise errors.BadInput(f"{fact} is never {value!r}; it is one of {', '.join([*facts[fact], 'other'])}.")
    if not args["body"].strip() or len(args["body"]) > 400:
        raise errors.BadInput("A lesson has 1 to 400 characters.")
    if core.ADDRESS.search(f"{args['topic']}\n{args['body']}"):
        raise errors.BadInput("The lesson quotes a mail address: it is about one case only. Say the rule behind it.")
    for expected in args.get("expect", []):
        asserting.read(expected)
    async with context.database.api() as conn:
        said = await feedbacks.of_curation(conn, context.run.id)
        origin = await proving.origin_of(conn, [item.id for item in said])
    if origin and (wrong := lint.unfit(playbooks.slug(args["topic"]), args, origin, context.playbook)):
        raise errors.BadInput(f"{wrong} Use the owner's own words and scope, and nothing of this one case.")
    return toolbox.Outcome("noted; it is drafted when you finish")


async def _retire_lesson(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    if args["lesson"] not in {lesson.name for lesson in context.playbook.lessons}:
        raise errors.NotFound(f"There is no lesson {args['lesson']!r}.")
    return toolbox.Outcome("noted; it is retired when you finish")


async def _set_instructions(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    if len(args["text"]) > 8_000:
        raise errors.BadInput("Instructions have at most 8,000 characters.")
    return toolbox.Outcome("noted; the owner sees the change as a diff")


TOOLS: Mapping[str, toolbox.Tool] = {
    "sql": lookups.TOOLS["sql"],
    "quote": toolbox.Tool(
        "quote",
        "Opens what the run drafted. It was written from outside text: whatever you draft then waits for the owner.",
        _quote,
        {"run": {"type": "integer", "description": "The run that the feedback is about."}},
    ),
    "draft_lesson": toolbox.Tool(
        "draft_lesson",
        "Drafts one lesson.",
        _draft_lesson,
        {"topic": toolbox.text("A few words."), "body": toolbox.text("The rule, at most 400 characters.")},
        {
            "when": {"type": "object", "description": "Facts that a run must have: fact -> value. Empty: every run."},
            "expect": {
                "type": "array",
                "description": 'Checks on the next draft for this task: {"kind": "contains" or "absent", "text": "…"}.',
                "items": {"type": "object"},
            },
        },
    ),
    "retire_lesson": toolbox.Tool(
        "retire_lesson",
        "Retires a lesson that no longer holds.",
        _retire_lesson,
        {"lesson": toolbox.text("Its name."), "reason": toolbox.text("Why.")},
    ),
    "set_instructions": toolbox.Tool(
        "set_instructions",
        "Proposes new instructions in the place of the old; only for what every run must know.",
        _set_instructions,
        {"text": toolbox.text("All of them."), "reason": toolbox.text("Why.")},
    ),
    "finish": replace(
        toolbox.FINISH,
        description="Ends the curation. What you noted becomes one draft revision.",
        required={
            "outcome": toolbox.text("What came of it.", enum=["drafted", "no_change", "asked"]),
            "summary": toolbox.text("What changes and why, in one or two sentences for the owner."),
        },
    ),
}


async def finish(conn: pool.Conn, work: loop.Work, steps: Sequence[journal.Step], end: toolbox.Finish) -> None:
    """The draft revision, the assertions and the first replay: all of it with the end of the run, or none."""
    await agents.lock(conn, work.agent.id)
    said = await feedbacks.of_curation(conn, work.run.id)
    numbers = [item.id for item in said]
    noted = [step for step in steps if step.kind == "tool" and not step.error]
    origin = await proving.origin_of(conn, numbers)
    draft = _drafted(work, noted, numbers[0], origin)
    if draft.digest == work.playbook.digest:
        summary = end.summary if work.run.label != "outside" else "the manager's reasons are in its run"
        await feedbacks.settle_all(conn, numbers, f"no change: {summary}")
        await feedbacks.curate(conn, work.agent, ending=work.run.id)
        return
    change = revisions.Change(end.summary or said[0].comment, "manager", work.run.revision, numbers[0], work.run.id)
    n = await revisions.add(conn, work.agent, draft, change)
    run = said[0].run_id or 0
    case = await cases.keep(conn, work.agent, run)
    stored = await revisions.load(conn, work.agent, n)
    for lesson in lint.changed(work.playbook, stored)[0] or precedence.said_again(work.playbook, origin):
        for expected in lesson.expect:
            await cases.add_assertion(conn, case, asserting.read(expected), feedback=numbers[0], revision=n)
    for item in said:
        for assertion in await _of_edit(conn, run, item, work.playbook):
            await cases.add_assertion(conn, case, assertion, feedback=item.id, revision=n)
    await proving.begin(
        conn,
        work.agent,
        proving.Draft(
            n,
            work.playbook,
            stored,
            origin,
            case,
            work.run.id,
            tuple(numbers),
            explicit=any(item.comment.strip() and item.source not in INFERRED for item in said),
            owner_decides=work.playbook.manifest.adopt == "ask",
        ),
    )


async def _of_edit(
    conn: pool.Conn, run: int, given: feedbacks.Feedback, playbook: playbooks.Playbook
) -> list[asserting.Assertion]:
    """What an edited draft says without a model; it counts for the draft that was made of it."""
    if not given.edited:
        return []
    known = "\n".join(playbook.files().values())
    return asserting.of_edit(await thread.draft_of(conn, run), thread.own(given.edited), known)


async def failed(conn: pool.Conn, work: loop.Work, error: str) -> None:
    """The manager could not do it: the feedback says so, and the next one has its turn."""
    await agents.lock(conn, work.agent.id)
    numbers = [item.id for item in await feedbacks.of_curation(conn, work.run.id)]
    text = f"not taken up: {error} `pocketlet retry {work.run.id}` tries again."
    await feedbacks.settle_all(conn, numbers, text)
    await feedbacks.curate(conn, work.agent, ending=work.run.id)


def _drafted(
    work: loop.Work, noted: Sequence[journal.Step], given: int, origin: precedence.Origin | None
) -> playbooks.Playbook:
    """The playbook with everything that the manager noted.

    What it says twice is said once, and a lesson that expects the contrary gives way: the newest word wins. If it
    noted nothing, what the owner says again counts as noted.
    """
    lessons = list(work.playbook.lessons)
    instructions = work.playbook.instructions
    for step in noted:
        args = step.request
        if step.tool == "draft_lesson":
            lesson = drafted_lesson(args, work, given)
            if not any(not old.id and wording.similar(old.body, lesson.body) for old in lessons):
                lessons = [old for old in lessons if not precedence.gives_way(old, lesson, origin)] + [lesson]
        elif step.tool == "retire_lesson":
            lessons = [lesson for lesson in lessons if lesson.name != args["lesson"]]
        elif step.tool == "set_instructions":
            instructions = args["text"].strip() + "\n"
    if origin:
        nothing = not any(step.tool in NOTING for step in noted)
        new = [lesson for lesson in lessons if not lesson.id]
        lessons = precedence.upheld(lessons, precedence.said_again(work.playbook, origin) if nothing else new, origin)
    return replace(work.playbook, lessons=tuple(lessons), instructions=instructions)


def drafted_lesson(args: Mapping[str, Any], work: loop.Work, given: int | None) -> playbooks.Lesson:
    """A lesson as the model wants it, with the label of all that it had read by then."""
    return playbooks.Lesson(
        name=playbooks.slug(args["topic"]),
        topic=" ".join(args["topic"].split())[: playbooks.MAX_TOPIC],
        body=args["body"].replace("\r\n", "\n").strip(),
        predicate={str(key): str(value) for key, value in args.get("when", {}).items()},
        authority="owner",
        since=clock.now().isoformat(timespec="milliseconds"),  # the newer of two holds
        label=work.run.label,
        feedback=given,
        run=work.run.id,
        expect=tuple(asserting.record(asserting.read(item)) for item in args.get("expect", [])),
    )
