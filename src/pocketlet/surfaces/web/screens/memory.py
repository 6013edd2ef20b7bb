"""Memory: an agent's tables, the owner's own SELECTs, single memories, and what changed or is to be forgotten."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import endpoint, memory, sql, tables
from pocketlet.surfaces.web import problems
from pocketlet.surfaces.web.screens import cells, filled, screen

PART = 50  # rows of a page
GIVEN = "p_"  # before the name of a parameter in the address


def here(agent: str, *parts: object, **query: str) -> str:
    """The address of a page of this screen."""
    asked = f"?{urlencode({name: value for name, value in query.items() if value})}" if any(query.values()) else ""
    return "/".join((f"/agents/{agent}/memory", *map(str, parts))) + asked


async def show(look: screen.Look) -> Response:
    """The rows of one table; without a name, of the memories."""
    agent = look.path["agent"]
    known = (await tables.listing(look.caller, agent)).items
    name = look.asked("table") or "memories"
    table = next((one for one in known if one.name == name), None)
    if table is None:
        raise errors.NotFound(f"{agent} has no table of that name.", hint="The page Memory lists them.")
    found = await tables.rows(look.caller, agent, name, limit=PART, cursor=look.asked("cursor"))
    view = screen.View("memory.html", "Memory", "memory", agent)
    return await screen.page(
        look,
        view,
        tab="",
        tables=known,
        table=table,
        grid=cells.grid(found.columns, found.items, _pages(agent, name, found)),
        beyond=here(agent, table=name, cursor=found.next or "") if found.next else "",
        first=here(agent, table=name) if look.asked("cursor") else "",
        saved=(await sql.saved(look.caller, agent)).items,
    )


def _pages(agent: str, name: str, found: tables.Rows) -> dict[int, str]:
    """Where single rows are shown: memories on pages of this screen, results and runs on those of the run."""
    if name == "results":
        return {at: f"/runs/{row.run}" for at, row in enumerate(found.items) if row.run}
    if name not in ("memories", "runs"):
        return {}
    place = found.columns.index("id")
    numbers = [row.cells[place] or "" for row in found.items]
    return {at: here(agent, "rows", n) if name == "memories" else f"/runs/{n}" for at, n in enumerate(numbers)}


async def ask(look: screen.Look) -> Response:
    """The editor, and what the query in the address gives; it is asked again each time that the page is opened."""
    agent, query = look.path["agent"], look.asked("q").strip()
    known = (await tables.listing(look.caller, agent)).items
    names = sql.parameters(query)
    given = {name: look.asked(f"{GIVEN}{name}") for name in names if f"{GIVEN}{name}" in look.request.query_params}
    answer, wrong = None, None
    if query and len(given) == len(names):
        try:
            asked = filled.body(sql.Query, query=query, parameters=given)
            answer = await sql.ask(look.caller, agent, body=asked)
        except (errors.GateRefusal, errors.BadInput) as error:
            wrong = error
    view = screen.View(
        "memory_sql.html", "Memory", "memory", agent, status=problems.status(wrong) if wrong is not None else 200
    )
    saved = (await sql.saved(look.caller, agent)).items
    return await screen.page(
        look,
        view,
        tab="sql",
        tables=known,
        schema=json.dumps({one.name: [column.name for column in one.columns] for one in known}),
        query=query,
        names=names,
        given=given,
        answer=answer,
        wrong=wrong,
        grid=cells.grid(answer.columns, answer.rows) if answer else None,
        saved=saved,
        name=next((one.name for one in saved if one.query.strip() == query), ""),
        examples=[(said, here(agent, "sql", q=text)) for said, needs, text in sql.EXAMPLES if _has(known, needs)],
        file=here(agent, "file.csv", q=query, **_asked(given)) if answer else "",
    )


def _has(known: list[tables.Table], name: str) -> bool:
    return any(one.name == name for one in known)


def _asked(given: Mapping[str, str]) -> dict[str, str]:
    return {f"{GIVEN}{name}": value for name, value in given.items()}


async def file(look: screen.Look) -> Response:
    """A table, or what a query gives, as a CSV file."""
    agent, query = look.path["agent"], look.asked("q")
    if query:
        given = {name: look.asked(f"{GIVEN}{name}") for name in sql.parameters(query)}
        found = await sql.csv(look.caller, agent, body=filled.body(sql.Query, query=query, parameters=given))
    else:
        found = await tables.csv(look.caller, agent, look.asked("table"))
    return _download(found)


def _download(found: endpoint.Text) -> Response:
    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in found.name if letter.isascii())
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(found.content, media_type="text/csv", headers=headers)


async def save(look: screen.Look) -> Response:
    """Keeps the query of the editor."""
    agent, form = look.path["agent"], await look.form()
    kept = await sql.save(
        look.caller, agent, body=filled.body(sql.Named, name=form.get("name", ""), query=form.get("q", "").strip())
    )
    given = {name: value for name, value in form.items() if name.startswith(GIVEN) and value}
    return screen.to(here(agent, "sql", q=kept.query, **given), f"The query is kept as “{kept.name}”.")


async def unsave(look: screen.Look) -> Response:
    """Removes a query that was kept."""
    agent = look.path["agent"]
    done = await sql.unsave(look.caller, agent, filled.number(look.path["query"]))
    return screen.to(here(agent, "sql"), done.said)


async def one(look: screen.Look) -> Response:
    """A memory: its words, where they come from, and what can be done about it."""
    agent = look.path["agent"]
    whole = await memory.show(look.caller, agent, filled.number(look.path["memory"]))
    view = screen.View("memory_one.html", f"Memory {whole.memory.id}", "memory", agent)
    return await screen.page(look, view, whole=whole, memory=whole.memory, told=whole.told)


async def correct(look: screen.Look) -> Response:
    """The owner's words in the place of a memory."""
    agent, row, form = look.path["agent"], filled.number(look.path["memory"]), await look.form()
    body = filled.body(memory.Right, text=form.get("text", ""), comment=form.get("comment", ""))
    done = await memory.correct(look.caller, agent, row, body=body)
    return screen.to(here(agent, "rows", done.memory or row), f"Memory {row} is corrected: {_low(done.said)}")


async def forget(look: screen.Look) -> Response:
    """Ends a memory."""
    agent, row = look.path["agent"], filled.number(look.path["memory"])
    await memory.forget(look.caller, agent, row, body=memory.MemoryWhy())
    return screen.to(here(agent, "rows", row), f"Memory {row} is forgotten. You can take that back here.")


async def undo(look: screen.Look) -> Response:
    """Takes the last word on a memory back."""
    agent, row = look.path["agent"], filled.number(look.path["memory"])
    done = await memory.undo(look.caller, agent, row, body=memory.MemoryWhy())
    return screen.to(here(agent, "rows", done.memory or row), done.said)


def _low(said: str) -> str:
    return said[:1].lower() + said[1:]


async def sender(look: screen.Look) -> Response:
    """Whose memories are to be forgotten, and how many that would be."""
    agent, who, about = look.path["agent"], look.asked("sender").strip(), look.asked("about") == "yes"
    found = await memory.source(look.caller, agent, sender=who[:320], about=about) if who else None
    if found is None:
        await sql.saved(look.caller, agent)  # who asks for another's agent learns nothing
    view = screen.View("memory_forget.html", "Memory", "memory", agent)
    return await screen.page(look, view, tab="forget", who=who, about=about, found=found)


async def forget_sender(look: screen.Look) -> Response:
    """Forgets all that was shown."""
    agent, form = look.path["agent"], await look.form()
    about = form.get("about") == "yes"
    body = filled.body(memory.Forgetting, sender=form.get("sender", ""), about=about, rows=form.get("rows", ""))
    done = await memory.forget_source(look.caller, agent, body=body)
    return screen.to(here(agent, "forget", done.feedback), done.said)


async def forgotten(look: screen.Look) -> Response:
    """What was forgotten of a sender, with the way back."""
    agent, number = look.path["agent"], filled.number(look.path["feedback"])
    done = await memory.forgotten(look.caller, agent, number)
    view = screen.View("memory_forgotten.html", "Memory", "memory", agent)
    return await screen.page(look, view, tab="forget", done=done)


async def restore(look: screen.Look) -> Response:
    """The memories of a sender are there again."""
    agent, number = look.path["agent"], filled.number(look.path["feedback"])
    done = await memory.restore(look.caller, agent, number)
    return screen.to(here(agent, table="memories"), done.said)


async def changes(look: screen.Look) -> Response:
    """What changed between two days, both of them included."""
    agent = look.path["agent"]
    since, until = _day(look.asked("since")), _day(look.asked("until"))
    end = _begin(until + timedelta(days=1)) if until else None
    found = await memory.changes(look.caller, agent, since=_begin(since) if since else None, until=end)
    last = until or found.until.date()
    view = screen.View("memory_changes.html", "Memory", "memory", agent)
    return await screen.page(look, view, tab="changes", found=found, since=since or found.since.date(), until=last)


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise errors.BadInput("This is no day.", hint="Write it as 2026-11-23.") from error
    if not 1900 < found.year < 9000:
        raise errors.BadInput("This is no day of ours.", hint="Write it as 2026-11-23.")
    return found


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


HERE = "/agents/{agent}/memory"
SCREENS = (
    screen.Screen("GET", HERE, show),
    screen.Screen("GET", f"{HERE}/sql", ask),
    screen.Screen("GET", f"{HERE}/file.csv", file),
    screen.Screen("POST", f"{HERE}/queries", save),
    screen.Screen("POST", f"{HERE}/queries/{{query}}/remove", unsave),
    screen.Screen("GET", f"{HERE}/rows/{{memory}}", one),
    screen.Screen("POST", f"{HERE}/rows/{{memory}}/correct", correct),
    screen.Screen("POST", f"{HERE}/rows/{{memory}}/forget", forget),
    screen.Screen("POST", f"{HERE}/rows/{{memory}}/undo", undo),
    screen.Screen("GET", f"{HERE}/forget", sender),
    screen.Screen("POST", f"{HERE}/forget", forget_sender),
    screen.Screen("GET", f"{HERE}/forget/{{feedback}}", forgotten),
    screen.Screen("POST", f"{HERE}/forget/{{feedback}}/undo", restore),
    screen.Screen("GET", f"{HERE}/changes", changes),
)
