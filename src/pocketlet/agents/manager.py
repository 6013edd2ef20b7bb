"""The manager: the same loop as any run, with a briefing of its own and tools that only draft.

It reads typed reports (facts, numbers, states) and bounded, marked quotes; it can promote nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pocketlet import clock, errors
from pocketlet.agents import (
    briefing as briefings,
)
from pocketlet.agents import (
    cases,
    journal,
    lookups,
    loop,
    policy,
    revisions,
    runs,
    toolbox,
    trials,
)
from pocketlet.agents import (
    feedback as feedbacks,
)
from pocketlet.agents import (
    manifest as manifests,
)
from pocketlet.agents import (
    playbook as playbooks,
)
from pocketlet.agents import task as tasks
from pocketlet.agents import work as works
from pocketlet.db import pool

QUOTE = 4_000  # characters of a draft that a report quotes


async def brief(conn: pool.Conn, work: loop.Work, model: str) -> briefings.Briefing:
    """The manager's briefing: the playbook in full, the feedback, and the report of the run it is about."""
    if work.run.feedback_id is None:
        raise errors.Failed("This curation run has no feedback to work on.")
    given = await feedbacks.get(conn, work.run.feedback_id)
    manifest = work.playbook.manifest
    skills = "\n\n".join(f"## skill {skill.name}\n{skill.text.strip()}" for skill in work.playbook.skills)
    lessons = "\n".join(_lesson_line(lesson) for lesson in work.playbook.lessons)
    facts = "\n".join(f"- {name}: {', '.join([*values, 'other'])}" for name, values in manifest.facts.items())
    sections = [
        briefings.prompt("manager"),
        briefings.section("Job", manifest.job),
        briefings.section("Instructions", work.playbook.instructions),
        briefings.section("Lessons", lessons),
        briefings.section("Skills", skills),
        briefings.section("Facts", facts),
    ]
    return briefings.Briefing(
        system="\n\n".join(text for text in sections if text),
        user=f"{await _feedback(conn, given)}\n\n{await _report(conn, given.run_id)}",
        tools=tuple(tool.offer for tool in TOOLS.values()),
        model=model,
        max_tokens=manifest.max_tokens,
    )


def _lesson_line(lesson: playbooks.Lesson) -> str:
    when = ", ".join(f"{key}={value}" for key, value in sorted(lesson.predicate.items()))
    return briefings.lesson_line(lesson) + (f" (when {when})" if when else "")


async def _feedback(conn: pool.Conn, given: feedbacks.Feedback) -> str:
    lines = ["# Feedback", f"run: {given.run_id}", f"verdict: {given.verdict}"]
    lines.append(f"comment: {' '.join(given.comment.split())}")
    if given.edited:
        mails = (await cases.work_of(conn, given.run_id)).mails
        changed = feedbacks.edit_of(mails[-1]["body"] if mails else "", given.edited)
        lines += ["edited draft (lines with + are the owner's):", tasks.quote(changed[:QUOTE])]
    return "\n".join(lines)


async def _report(conn: pool.Conn, number: int) -> str:
    run = await runs.load(conn, number)
    lines = [f"# Report of run {number}"]
    lines.append("facts: " + ", ".join(f"{key}={value}" for key, value in sorted(run.facts.items())))
    used = len(briefings.from_record(run.briefing).lessons) if run.briefing else 0
    lines.append(f"lessons used: {used or 'none'}")
    for step in await journal.read(conn, number):
        if step.kind == "tool":
            lines.append(f"- step {step.seq} {_reported(step)}")
    drafts = "\n\n".join(mail["body"] for mail in (await cases.work_of(conn, number)).mails)
    return "\n".join([*lines, tasks.quote(drafts[:QUOTE])] if drafts else lines)


def _reported(step: journal.Step) -> str:
    if step.tool not in {*manifests.RUN_TOOLS, "finish"}:
        return "a tool that there is not: error"  # its name is the run's own words
    if step.error:
        return f"{step.tool}: error"
    if step.tool == "sql":
        numbers = ", ".join(f"{name}={value}" for name, value in step.meta.get("numbers", {}).items())
        return f"sql: {step.meta.get('rows', 0)} rows" + (f"; numbers: {numbers}" if numbers else "")
    return (
        f"{step.tool}: {str(step.response).partition(':')[0][:40]}" if step.tool == "send_mail" else f"{step.tool}: ok"
    )


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
    if policy.ADDRESS.search(f"{args['topic']}\n{args['body']}"):
        raise errors.BadInput("The lesson quotes a mail address: it is about one case only. Say the rule behind it.")
    for expected in args.get("expect", []):
        _assertion(expected)
    return toolbox.Outcome("noted; it is drafted when you finish")


def _assertion(expected: object) -> cases.Assertion:
    if isinstance(expected, dict):
        fields = cast("Mapping[str, object]", expected)
        kind, text = fields.get("kind"), fields.get("text")
        if kind in ("contains", "absent") and isinstance(text, str) and text.strip():
            return cases.Assertion(str(kind), {"text": text.strip()})
    raise errors.BadInput('`expect` holds {"kind": "contains" or "absent", "text": "…"}.')


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
    """The draft revision, the assertions and the trials: all of it with the end of the run, or none."""
    given = await feedbacks.get(conn, work.run.feedback_id or 0)
    noted = [step for step in steps if step.kind == "tool" and not step.error]
    draft = _drafted(work, noted, given)
    if draft.digest == work.playbook.digest:
        await feedbacks.settle(conn, given.id, f"no change: {end.summary}"[:500])
        return
    change = revisions.Change(end.summary or given.comment, "manager", work.run.revision, given.id, work.run.id)
    n = await revisions.add(conn, work.agent, draft, change)
    case = await cases.keep(conn, work.agent, given.run_id)
    for step in noted:
        wanted: list[object] = step.request.get("expect", []) if step.tool == "draft_lesson" else []
        for expected in wanted:
            await cases.add_assertion(conn, case, _assertion(expected), feedback=given.id, revision=n)
    stored = await revisions.load(conn, work.agent, n)
    both = ((work.run.revision, work.playbook), (n, stored))
    await trials.begin(conn, work.agent, both, works.compiled)
    await feedbacks.settle(conn, given.id, f"drafted as revision {n}")


def _drafted(work: loop.Work, noted: Sequence[journal.Step], given: feedbacks.Feedback) -> playbooks.Playbook:
    """The playbook with everything that the manager noted."""
    lessons = list(work.playbook.lessons)
    instructions = work.playbook.instructions
    for step in noted:
        args = step.request
        if step.tool == "draft_lesson":
            when = {str(key): str(value) for key, value in args.get("when", {}).items()}
            lessons.append(
                playbooks.Lesson(
                    name=playbooks.slug(args["topic"]),
                    topic=" ".join(args["topic"].split())[: playbooks.MAX_TOPIC],
                    body=args["body"].replace("\r\n", "\n").strip(),
                    predicate=when,
                    authority="owner",
                    since=clock.now().isoformat(timespec="seconds"),
                    label=work.run.label,
                    feedback=given.id,
                    run=work.run.id,
                )
            )
        elif step.tool == "retire_lesson":
            lessons = [lesson for lesson in lessons if lesson.name != args["lesson"]]
        elif step.tool == "set_instructions":
            instructions = args["text"].strip() + "\n"
    return replace(work.playbook, lessons=tuple(lessons), instructions=instructions)
