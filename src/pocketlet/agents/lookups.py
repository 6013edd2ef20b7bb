"""The tools that look things up, and the one that remembers: sql, search, read, skill, attachment, remember."""

from collections.abc import Mapping, Set
from typing import Any

from pocketlet import errors
from pocketlet.agents import policy, runs, table, toolbox
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries, reader
from pocketlet.platform import apps, messages

Q = queries.load("lookups")
CORE = {"memories", "results"}
RUNS = "run"  # the platform's table under the view `runs`
PAGE = 4_000  # characters of one `read` page
KINDS = ("note", "preference", "fact", "person", "order", "open_question")


async def _sql(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    managing = context.run.kind == "manager"
    login = apps.manager(context.schema) if managing else apps.reader(context.schema)
    try:
        rows = await reader.query(context.database, login, args["query"])
    except errors.GateRefusal as error:  # it may quote a value of any row
        return toolbox.refusal(error, label=await _label(context, {*CORE, RUNS}))
    meta = {"rows": len(rows.rows), "capped": rows.capped, "numbers": table.numbers(rows)}
    return toolbox.Outcome(table.render(rows), label=await _label(context, rows.tables), meta=meta)


async def _label(context: toolbox.Context, read: Set[str]) -> str:
    """Of what a query gave: outside if a table that it read holds any outside text (which rows, none can say).

    The manager's login can read no such text, whatever it asks.
    """
    if context.run.kind == "manager":
        return "own-data"
    async with context.database.api() as conn:
        for name in sorted(read & CORE):
            query = queries.named(Q["holds_outside"], schema=context.schema, table=name)
            if await (await conn.execute(query)).fetchone():
                return "outside"
        if RUNS in read and await (await conn.execute(Q["ran_outside"], {"agent": context.run.agent_id})).fetchone():
            return "outside"
    return "own-data"


async def _search(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    values = {"words": args["words"], "entity": args.get("entity")}
    rows = await reader.query(context.database, apps.reader(context.schema), Q["search"], params=values)
    position = rows.columns.index("integrity") if "integrity" in rows.columns else None
    labels = {str(row[position]) for row in rows.rows} if position is not None else set[str]()
    meta = {"rows": len(rows.rows), "capped": rows.capped}
    return toolbox.Outcome(table.render(rows), label=policy.join("own-data", *labels), meta=meta)


async def _read(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    name = args["table"]
    if name not in CORE:
        raise errors.BadInput("Only rows of memories and results are read by id; use sql for other tables.")
    values = {"id": args["id"], "start": (args.get("page", 1) - 1) * PAGE + 1, "length": PAGE}
    rows = await reader.query(context.database, apps.reader(context.schema), Q[f"read_{name}"], params=values)
    if not rows.rows:
        raise errors.NotFound(f"{name} has no row {args['id']}.")
    title, body, size, integrity = rows.rows[0]
    text = f"{title}\n{tasks.quote(body or '') if integrity == 'outside' else body}"
    return toolbox.Outcome(f"{text}\n({size} characters)", label=policy.join("own-data", str(integrity)))


async def _skill(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    skills = {skill.name: skill for skill in context.playbook.skills}
    skill = skills.get(args["name"])
    if skill is None:
        raise errors.NotFound(f"There is no skill {args['name']!r}; there are {', '.join(skills) or 'none'}.")
    path = args.get("file") or "SKILL.md"
    if path == "SKILL.md":
        return toolbox.Outcome(skill.text)
    if path not in skill.files:
        raise errors.NotFound(f"The skill has no file {path!r}; it has {', '.join(sorted(skill.files))}.")
    return toolbox.Outcome(skill.files[path])


async def _attachment(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    async with context.database.api() as conn:
        raw = await runs.raw(conn, context.run.id)
    files = {file.name: file for file in messages.parse(raw).attachments} if context.sender.task.kind == "mail" else {}
    file = files.get(args["name"])
    if file is None:
        raise errors.NotFound(f"There is no attachment {args['name']!r}; there are {', '.join(files) or 'none'}.")
    if not file.media_type.startswith("text/") and file.media_type not in ("application/json", "application/xml"):
        return toolbox.Outcome(f"{file.name} is {file.media_type}, {file.size} bytes: not text.", label="outside")
    return toolbox.Outcome(tasks.quote(file.content.decode("utf-8", "replace").replace("\x00", "")), label="outside")


async def _remember(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    run = context.run
    values = {
        "agent_id": context.sender.agent.id,
        "kind": args["kind"],
        "subject": args["subject"][:500],
        "body": args.get("body", ""),
        "entity": args.get("entity"),
        "label": run.label,
        "run": run.id,
        "step": context.seq,
        "ref": context.sender.task.message_id or None,
    }

    async def commit(conn: pool.Conn) -> None:
        if run.kind == "run":  # a trial leaves no trace in the memory
            await conn.execute(queries.named(Q["remember"], schema=context.schema), values)

    return toolbox.Outcome("remembered", commit=commit)


TOOLS: Mapping[str, toolbox.Tool] = {
    tool.name: tool
    for tool in (
        toolbox.Tool(
            "sql",
            "Runs one read-only SELECT on your tables and gives the rows as tab-separated text (at most 50).",
            _sql,
            {"query": toolbox.text("One SELECT (or WITH … SELECT) of PostgreSQL.")},
        ),
        toolbox.Tool(
            "search",
            "Finds memories and results by words, best first; all words must occur.",
            _search,
            {"words": toolbox.text("Words as in a web search.")},
            {"entity": toolbox.text("Only of this person, order … (exact).")},
        ),
        toolbox.Tool(
            "read",
            f"Opens one memory or result that a search cut short, {PAGE} characters a page.",
            _read,
            {"table": toolbox.text("Which.", enum=["memories", "results"]), "id": {"type": "integer"}},
            {"page": {"type": "integer", "description": "From 1."}},
        ),
        toolbox.Tool(
            "skill",
            "Reads a skill of the index, or a file that it names.",
            _skill,
            {"name": toolbox.text("As in the index.")},
            {"file": toolbox.text("A path inside the skill; without it, the skill itself.")},
        ),
        toolbox.Tool(
            "attachment",
            "Reads a text attachment of this task's mail.",
            _attachment,
            {"name": toolbox.text("As listed in the task.")},
        ),
        toolbox.Tool(
            "remember",
            "Keeps something for later runs.",
            _remember,
            {"kind": toolbox.text("What it is.", enum=list(KINDS)), "subject": toolbox.text("One line.")},
            {"body": toolbox.text("The rest."), "entity": toolbox.text("Whom or what it is about.")},
        ),
    )
}


def toolset(names: tuple[str, ...]) -> dict[str, toolbox.Tool]:
    """The tools that a manifest names, and `finish`."""
    known = {**TOOLS, "send_mail": toolbox.SEND_MAIL}
    return {name: known[name] for name in names if name in known} | {"finish": toolbox.FINISH}
