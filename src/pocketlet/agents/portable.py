"""Import and export: an agent is a folder that can be read, kept and carried elsewhere."""

import asyncio
from dataclasses import replace
from pathlib import Path

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import correspondent, revisions
from pocketlet.agents import folder as folders
from pocketlet.agents import playbook as playbooks
from pocketlet.db import bulk, pool
from pocketlet.platform import apps

CORE = ("memories", "results")
DOWN = ".down.sql"  # the reverse of a migration: kept with it, and run by nobody but a person


async def load(
    database: pool.Database, path: Path, *, origin: str = "import", owner: int = agents.KEEPER
) -> agents.Agent:
    """Makes an agent of a folder: all of it or nothing. Raises errors.BadAgent, errors.Conflict."""
    folder = folders.read(path)
    name = folder.playbook.manifest.name
    apps.check_name(name)
    installed = False
    try:
        # The row's transaction stays open: a second import of this name waits, and a failure leaves no row.
        async with database.api() as conn:
            agent = agents.Agent(await agents.begin(conn, name, origin, owner), name, origin, 0)
            await apps.uninstall(database, name)  # what an import that was killed left behind
            await apps.install(database, name)
            installed = True
            tables = await _fill(database, conn, name, folder)
            playbook = replace(folder.playbook, tables=tables)
            n = await revisions.add(conn, agent, playbook, revisions.Change(f"imported from {path.name}"))
            await revisions.decide(conn, agent, n, "import")
            agent = replace(agent, current=n)
            await correspondent.bind(database, conn, agent, playbook)
        return agent
    except BaseException:
        if installed:
            await asyncio.shield(apps.uninstall(database, name))
        raise


async def _fill(database: pool.Database, conn: pool.Conn, name: str, folder: folders.Folder) -> str:
    """Runs the schema files and loads the rows as the app itself, in one transaction; the table map."""
    try:
        async with database.login(name) as app, app.transaction():
            for file, text in folder.playbook.schema_files.items():
                if not file.endswith(DOWN):
                    await bulk.run_script(app, text, where=f"schema/{file}")
            await bulk.check_names(app, name)
            for table in await bulk.in_order(app, name, folder.data.keys() - set(CORE)):
                await bulk.load(app, name, table, folder.data[table])
            tables = await bulk.table_map(app, name)
        for table, path in folder.data.items():
            if table in CORE:
                await bulk.load(conn, name, table, path)
    except errors.BadInput as error:
        raise errors.BadAgent(str(error), hint=error.hint or errors.BadAgent.default_hint) from error
    return tables


async def renew(database: pool.Database, path: Path) -> tuple[agents.Agent, int]:
    """Makes the folder the next revision of the agent that has its name, and adopts it; it is the owner's from then on.

    Raises errors.Conflict if the memory tables differ: those are not changed by an import.
    """
    new = folders.read(path).playbook
    async with database.api() as conn:
        agent = await agents.get(conn, new.manifest.name)
        old = await revisions.load(conn, agent, agent.current)
        if dict(old.schema_files) != dict(new.schema_files):
            raise errors.Conflict(
                "The folder's schema/ differs from the agent's memory tables; an import does not change tables.",
                hint="Import it under another name, or remove the agent first (export it to keep its rows).",
            )
        known = {lesson.name: lesson for lesson in old.lessons}
        new = replace(new, tables=old.tables, lessons=tuple(_same(lesson, known) for lesson in new.lessons))
        change = revisions.Change(f"imported from {path.name}", parent=agent.current)
        n = await revisions.add(conn, agent, new, change)
        await revisions.decide(conn, agent, n, "import")
        await agents.imported(conn, agent.id)
        await correspondent.bind(database, conn, replace(agent, current=n), new)
    return agent, n


def _same(lesson: playbooks.Lesson, known: dict[str, playbooks.Lesson]) -> playbooks.Lesson:
    """The stored lesson if the file says the same, so that its history stays with it."""
    stored = known.get(lesson.name)
    return stored if stored and _said(stored) == _said(lesson) else lesson


def _said(lesson: playbooks.Lesson) -> tuple[object, ...]:
    return lesson.topic, lesson.body, dict(lesson.predicate), [dict(item) for item in lesson.expect]


async def save(database: pool.Database, name: str, path: Path) -> agents.Agent:
    """Writes the current revision and the agent's rows into a new folder. Raises errors.Conflict if it has files."""
    async with database.api() as conn:
        agent = await agents.get(conn, name)
        playbook = await revisions.load(conn, agent, agent.current)
        core = {table: await bulk.dump_core(conn, name, table) for table in CORE}
    async with database.login(name) as app:
        tables = await bulk.own_tables(app, name)
        rows = {table: await bulk.dump(app, name, table) for table in tables}
    files = dict(playbook.files())
    files |= {f"data/{table}.csv": text for table, text in rows.items() if text.count("\n") > 1}
    files |= {f"data/{table}.jsonl": text for table, text in core.items() if text}
    folders.write(path, files)
    return agent


async def remove(database: pool.Database, name: str) -> None:
    """Removes the agent with its schema, roles, runs and jobs; its ledger rows stay. Raises errors.NotFound."""
    async with database.api() as conn:
        agent = await agents.get(conn, name)
    await apps.uninstall(database, name)
    async with database.api() as conn:
        await agents.forget(conn, agent.id)
