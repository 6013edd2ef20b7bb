"""The tools that look things up, and the one that remembers: sql, search, read, skill, attachment, remember."""

from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import replace
from functools import partial
from typing import Any

from pocketlet import errors
from pocketlet.agents import code, correspondent, outward, provenance, runs, table, toolbox
from pocketlet.agents import task as tasks
from pocketlet.db import pool, queries, reader
from pocketlet.platform import apps, messages
from pocketlet.policy import labels

Q = queries.load("lookups")
MANAGERS = ("manager", "chat")  # kinds of run whose SQL has the manager's login, and so reads nothing from outside
PAGE = 4_000  # characters of one `read` page
KINDS = ("note", "preference", "fact", "person", "order", "open_question")


async def look(
    context: toolbox.Context, args: Mapping[str, Any], *, tool: str, as_of: int | None = None
) -> toolbox.Outcome:
    """What sql, search or read gives now, or gave when the memory was at the version `as_of`."""
    try:
        return await READS[tool](context, args, as_of)
    except reader.Stopped as error:  # of SQL, it may quote a value of any row
        label = (
            await _label(context, {*provenance.CORE, provenance.RUNS}, error.version) if tool == "sql" else "playbook"
        )
        return replace(toolbox.refusal(error, label), meta={"memory_version": error.version})


async def _login(context: toolbox.Context, as_of: int | None) -> str | reader.Bound:
    if context.run.kind in MANAGERS:
        return apps.manager(context.schema)
    entity = correspondent.of(context.sender.task)
    if entity is None:
        return apps.reader(context.schema) if as_of is None else apps.trial(context.schema)
    await correspondent.ready(context.database, context.run.agent_id)
    return reader.Bound(apps.bound(context.schema), entity)


async def _sql(context: toolbox.Context, args: Mapping[str, Any], as_of: int | None) -> toolbox.Outcome:
    rows = await reader.query(context.database, await _login(context, as_of), args["query"], as_of=as_of)
    label = await _label(context, rows.tables, rows.version)
    return toolbox.Outcome(table.render(rows), label=label, meta=_meta(rows) | {"numbers": table.numbers(rows)})


def _meta(rows: reader.Rows) -> dict[str, Any]:
    known = {"rows": len(rows.rows), "capped": rows.capped, "memory_version": rows.version}
    return known | {"tables": sorted(rows.tables)}


async def _label(context: toolbox.Context, read: Set[str], version: int) -> str:
    """Of what a query gave. The manager's login can read no text from outside, whatever it asks."""
    if context.run.kind in MANAGERS:
        return "own-data"
    async with context.database.api() as conn:
        return await provenance.of_tables(conn, context.sender.agent, read, version)


async def _search(context: toolbox.Context, args: Mapping[str, Any], as_of: int | None) -> toolbox.Outcome:
    values = {"words": args["words"], "entity": args.get("entity")}
    login = await _login(context, as_of)
    rows = await reader.query(context.database, login, Q["search"], params=values, as_of=as_of)
    position = rows.columns.index("integrity") if "integrity" in rows.columns else None
    read = {str(row[position]) for row in rows.rows} if position is not None else set[str]()
    return toolbox.Outcome(table.render(rows), label=labels.join("own-data", *read), meta=_meta(rows))


async def _read(context: toolbox.Context, args: Mapping[str, Any], as_of: int | None) -> toolbox.Outcome:
    name = args["table"]
    if name not in provenance.CORE:
        raise errors.BadInput("Only rows of memories and results are read by id; use sql for other tables.")
    values = {"id": args["id"], "start": (args.get("page", 1) - 1) * PAGE + 1, "length": PAGE}
    login = await _login(context, as_of)
    rows = await reader.query(context.database, login, Q[f"read_{name}"], params=values, as_of=as_of)
    if not rows.rows:
        return replace(toolbox.refusal(errors.NotFound(f"{name} has no row {args['id']}.")), meta=_meta(rows))
    title, body, size, integrity = rows.rows[0]
    text = f"{title}\n{tasks.quote(body or '') if integrity == 'outside' else body}"
    label = labels.join("own-data", str(integrity))
    return toolbox.Outcome(f"{text}\n({size} characters)", label=label, meta=_meta(rows))


READS: Mapping[str, Callable[[toolbox.Context, Mapping[str, Any], int | None], Awaitable[toolbox.Outcome]]] = {
    "sql": _sql,
    "search": _search,
    "read": _read,
}


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
    about, entity = args.get("entity"), correspondent.of(context.sender.task)
    values = {
        "agent_id": context.sender.agent.id,
        "kind": args["kind"],
        "subject": args["subject"][:500],
        "body": args.get("body", ""),
        "entity": about if entity is None else entity or None,  # else a mail could put words into another's memory
        "label": run.label,
        "run": run.id,
        "step": context.seq,
        "ref": context.sender.task.message_id or None,
    }

    async def commit(conn: pool.Conn) -> None:
        if run.kind == "run" and not run.dry:  # trials and dry runs leave no trace in the memory
            await conn.execute(queries.named(Q["remember"], schema=context.schema), values)

    kept = entity is None or about in (None, entity)
    return toolbox.Outcome("remembered" if kept else f"remembered, as about {entity or 'nobody'}", commit=commit)


TOOLS: Mapping[str, toolbox.Tool] = {
    tool.name: tool
    for tool in (
        toolbox.Tool(
            "sql",
            "Runs one read-only SELECT on your tables and gives the rows as tab-separated text (at most 50).",
            partial(look, tool="sql"),
            {"query": toolbox.text("One SELECT (or WITH … SELECT) of PostgreSQL.")},
        ),
        toolbox.Tool(
            "search",
            "Finds memories and results by words, best first; all words must occur.",
            partial(look, tool="search"),
            {"words": toolbox.text("Words as in a web search.")},
            {"entity": toolbox.text("Only of this person, order … (exact).")},
        ),
        toolbox.Tool(
            "read",
            f"Opens one memory or result that a search cut short, {PAGE} characters a page.",
            partial(look, tool="read"),
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
    known = {**TOOLS, "send_mail": outward.SEND_MAIL, "code": code.CODE}
    return {name: known[name] for name in names if name in known} | {"finish": toolbox.FINISH}
