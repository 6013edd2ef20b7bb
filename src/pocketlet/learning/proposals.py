"""What the manager proposes in a talk: each tool checks it as an import would, and `folded` makes a playbook of all."""

import asyncio
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from pocketlet import errors
from pocketlet.agents import folder as folders
from pocketlet.agents import journal, lookups, toolbox
from pocketlet.agents import manifest as manifests
from pocketlet.agents import playbook as playbooks
from pocketlet.learning import manager, tables, wording

EMPTY = "Not set up yet."  # the job of an agent that is still to be proposed
MAX_JOB = 400
MAX_INSTRUCTIONS = 8_000
MAX_SKILL = 20_000
MOST = 20  # of facts, of values, of skills, of tables
KEY = re.compile(r"[a-z][a-z0-9_]{0,40}")
NO_ADDRESS = "No address is known, so its mails are given to it by hand: ask the owner for the address."


def empty(name: str, model: str) -> dict[str, str]:
    """The files of an agent that does nothing yet."""
    lines = (f"name = {_toml(name)}", f"job = {_toml(EMPTY)}", f"model = {_toml(model)}", "tools = []", "")
    return {"agent.toml": "\n".join(lines)}


def _toml(value: str | Sequence[str]) -> str:
    """JSON is TOML, but for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _agent(playbook: playbooks.Playbook, args: Mapping[str, Any]) -> playbooks.Playbook:
    """The playbook of a proposed agent, without its tables. Raises errors.BadInput."""
    manifest = playbook.manifest
    tools = [_text(tool, "A tool", 40) for tool in _list(args["tools"], "`tools`")]
    lines = [f"name = {_toml(manifest.name)}", f"job = {_toml(_line(args['job'], '`job`', MAX_JOB))}"]
    lines += [f"model = {_toml(manifest.model)}", f"tools = {_toml(tools)}"]
    if address := args.get("address", "").strip():
        lines += ["", "[mail]", f"address = {_toml(address)}"]
        lines += ["", "[triggers]", f"mail = {_toml(address)}"] if args["trigger"] == "mail" else []
    for fact, values in _mapping(args.get("facts", {}), "`facts`").items():
        lines += ["", f"[facts.{_key(fact)}]"]
        lines += [f"{_key(value)} = {_toml(_words(words, fact))}" for value, words in _mapping(values, fact).items()]
    skills = [_skill(record) for record in _records(args, "skills")]
    instructions = _text(args["instructions"], "`instructions`", MAX_INSTRUCTIONS).strip() + "\n"
    return replace(playbook, manifest_text="\n".join([*lines, ""]), instructions=instructions, skills=tuple(skills))


def _key(value: str) -> str:
    if not KEY.fullmatch(value) or value in ("trigger", "other"):
        raise errors.BadInput(f"Facts and values are words of small letters, digits and _, not {value!r}.")
    return value


def _words(value: object, fact: str) -> list[str]:
    return [_line(word, f"A word of {fact}", 80) for word in _list(value, f"The words of {fact}")]


def _skill(record: Mapping[str, Any]) -> playbooks.Skill:
    name = _line(record.get("name"), "A skill's name", 64)
    playbooks.check_slug(name, "`skills`")
    text = _text(record.get("text"), f"The text of skill {name}", MAX_SKILL).strip()
    about = {"name": name, "description": _line(record.get("description"), f"The description of {name}", MAX_JOB)}
    front = yaml.safe_dump(about, allow_unicode=True, sort_keys=False, width=1_000)
    return playbooks.parse_skill(name, {"SKILL.md": f"---\n{front}---\n\n{text}\n"})


def _settings(playbook: playbooks.Playbook, text: str) -> playbooks.Playbook:
    """The playbook with another agent.toml. Raises errors.BadInput."""
    text = text.replace("\r\n", "\n").strip() + "\n"
    if manifests.parse(text).name != playbook.manifest.name:
        raise errors.BadInput(f"The name stays {playbook.manifest.name!r}: its tables and logins are called by it.")
    return replace(playbook, manifest_text=text)


def _checked(playbook: playbooks.Playbook) -> playbooks.Playbook:
    """The playbook, if an import would take its manifest, instructions and skills. Raises errors.BadInput."""
    files = replace(playbook, lessons=(), schema_files={}).files()
    with tempfile.TemporaryDirectory() as place:
        folders.write(Path(place) / "agent", files)
        folders.read(Path(place) / "agent")
    return playbook


def _text(value: object, what: str, most: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > most:
        raise errors.BadInput(f"{what} must be a text of 1 to {most} characters.")
    return value.replace("\x00", "").encode("utf-8", "replace").decode()


def _line(value: object, what: str, most: int) -> str:
    return " ".join(_text(value, what, most).split())


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list) or len(cast("list[object]", value)) > MOST:
        raise errors.BadInput(f"{what} must be a list of at most {MOST}.")
    return cast("list[object]", value)


def _mapping(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict) or len(cast("dict[str, object]", value)) > MOST:
        raise errors.BadInput(f"{what} must be an object of at most {MOST} keys.")
    return cast("dict[str, object]", value)


def _records(args: Mapping[str, Any], key: str) -> list[dict[str, object]]:
    return [_mapping(item, f"Each of `{key}`") for item in _list(args.get(key, []), f"`{key}`")]


async def _so_far(context: toolbox.Context) -> tuple[playbooks.Playbook, tables.Plan]:
    """The playbook with what was proposed in this turn, and the tables that it is to have."""
    async with context.database.api() as conn:
        steps = await journal.read(conn, context.run.id)
    made = [tables.Plan(step.meta["files"], step.meta["tables"]) for step in steps if "files" in step.meta]
    last = made[-1] if made else tables.Plan({}, context.playbook.tables)
    return folded(context.playbook, steps), last


async def _propose_agent(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    playbook = context.playbook
    if playbook.manifest.job != EMPTY:
        hint = "Use propose_lesson, propose_instructions, propose_settings or propose_table."
        raise errors.Conflict("The agent is set up already.", hint=hint)
    built = await asyncio.to_thread(_checked, _agent(playbook, args))
    wanted = [tables.read(record) for record in _records(args, "tables")]
    plan = await tables.plan(context.database, context.schema, playbook, tables.Plan({}, playbook.tables), wanted)
    note = "" if built.manifest.mail_trigger or args["trigger"] == "none" else f" {NO_ADDRESS}"
    return _proposed(f"The owner sees the whole agent as a diff.{note}", plan)


async def _propose_lesson(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    playbook, _ = await _so_far(context)
    await manager.TOOLS["draft_lesson"].act(replace(context, playbook=playbook), args)  # it knows what a lesson may be
    when = dict(args.get("when", {}))
    for lesson in playbook.lessons:
        if dict(lesson.predicate) == when and wording.similar(lesson.body, args["body"]):
            raise errors.Conflict(f"Lesson {lesson.name} says so already, for the same runs.")
    return _proposed("The owner sees the lesson as a diff.")


async def _propose_instructions(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    _text(args["text"], "`text`", MAX_INSTRUCTIONS)
    return _proposed("The owner sees the change as a diff.")


async def _propose_settings(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    playbook, _ = await _so_far(context)
    await asyncio.to_thread(_checked, _settings(playbook, args["text"]))
    return _proposed("The owner sees the change as a diff.")


async def _propose_table(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    playbook, made = context.playbook, (await _so_far(context))[1]
    plan = await tables.plan(context.database, context.schema, playbook, made, [tables.read(args)])
    return _proposed("The table is made when the owner accepts.", plan)


def _proposed(said: str, plan: tables.Plan | None = None) -> toolbox.Outcome:
    meta = {"files": dict(plan.files), "tables": plan.tables} if plan else None
    return toolbox.Outcome(f"Proposed. {said} Nothing is changed yet.", meta=meta)


def folded(playbook: playbooks.Playbook, steps: Sequence[journal.Step]) -> playbooks.Playbook:
    """The playbook with all that the steps of a turn proposed, but for the lessons."""
    draft = playbook
    for step in steps:
        if step.kind != "tool" or step.error:
            continue
        if step.tool == "propose_agent":
            draft = _agent(playbook, step.request)
        elif step.tool == "propose_instructions":
            draft = replace(draft, instructions=step.request["text"].strip() + "\n")
        elif step.tool == "propose_settings":
            draft = _settings(draft, step.request["text"])
        if "files" in step.meta:
            files = {**playbook.schema_files, **step.meta["files"]}
            draft = replace(draft, schema_files=files, tables=step.meta["tables"])
    return draft


_RECORDS: dict[str, Any] = {"name": toolbox.text("Small letters, digits and _.")}
COLUMNS: dict[str, Any] = {
    "type": "array",
    "description": "Its columns; `id` is always there.",
    "items": {
        "type": "object",
        "properties": {**_RECORDS, "type": toolbox.text("The type.", enum=list(tables.TYPES))},
        "required": ["name", "type"],
    },
}
COMMENT = toolbox.text("What a row is, in a sentence; runs read it.")
SKILL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": toolbox.text("Small letters, digits and hyphens."),
        "description": toolbox.text("When to read it, in a sentence."),
        "text": toolbox.text("How this kind of work is done, step by step, in Markdown."),
    },
    "required": ["name", "description", "text"],
}
TABLE: dict[str, Any] = {
    "type": "object",
    "properties": {**_RECORDS, "columns": COLUMNS, "comment": COMMENT},
    "required": ["name", "columns"],
}
TOOLS: Mapping[str, toolbox.Tool] = {
    tool.name: tool
    for tool in (
        lookups.TOOLS["sql"],
        toolbox.Tool(
            "propose_agent",
            "Proposes a whole agent in the place of an empty one.",
            _propose_agent,
            {
                "job": toolbox.text("What it is for, in the owner's words; every run is told it first."),
                "instructions": toolbox.text("What every run must know, in Markdown."),
                "tools": {
                    "type": "array",
                    "items": {"type": "string", "enum": list(manifests.RUN_TOOLS)},
                    "description": "What its runs may use; no more than the job needs.",
                },
                "trigger": toolbox.text("What starts runs by itself.", enum=["mail", "none"]),
            },
            {
                "address": toolbox.text("The mail address that it answers for, if the owner named one."),
                "facts": {
                    "type": "object",
                    "description": 'Kinds of task, told by words: {"intent": {"late_order": ["late", "delayed"]}}.',
                },
                "skills": {"type": "array", "description": "One for each kind of work.", "items": SKILL},
                "tables": {"type": "array", "description": "Tables of its own, if it needs any.", "items": TABLE},
            },
        ),
        replace(
            manager.TOOLS["draft_lesson"],
            name="propose_lesson",
            description="Proposes one lesson.",
            act=_propose_lesson,
        ),
        toolbox.Tool(
            "propose_instructions",
            "Proposes instructions in the place of the present ones; only for what every run must know.",
            _propose_instructions,
            {"text": toolbox.text("All of them.")},
        ),
        toolbox.Tool(
            "propose_table",
            "Proposes a table of the agent's memory, or more columns for one that it has.",
            _propose_table,
            {"name": toolbox.text("Small letters, digits and _."), "columns": COLUMNS},
            {"comment": COMMENT},
        ),
        toolbox.Tool(
            "propose_settings",
            "Proposes an agent.toml in the place of the present one: tools, budget, approvals, triggers, facts.",
            _propose_settings,
            {"text": toolbox.text("All of it.")},
        ),
    )
}
