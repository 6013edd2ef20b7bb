"""`pocketlet agent import | export | list | show | remove`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.db import pool


@click.group()
def agent() -> None:
    """Import, export, list, show and remove agents."""


@agent.command(name="import")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Make the folder the next revision of the agent that has its name.")
@output.as_json
def load(folder: Path, *, replace: bool, as_json: bool) -> None:
    """Make an agent of a folder: all of it, or nothing."""
    found = session.call(_import, folder, replace=replace)
    for note in found["notes"]:
        output.note(f"Note: {note}")
    if as_json:
        output.document(found)
        return
    name = found["agent"]
    output.line(f"{name} is imported as revision {found['revision']}.")
    output.note(f"Next: `pocketlet run {name} --input FILE`")


async def _import(database: "pool.Database", folder: Path, *, replace: bool) -> dict[str, Any]:
    from pocketlet.agents import portable, revisions

    if replace:
        made, revision = await portable.renew(database, folder)
    else:
        made = await portable.load(database, folder)
        revision = made.current
    async with database.api() as conn:
        playbook = await revisions.load(conn, made, revision)
    return {"agent": made.name, "revision": revision, "notes": playbook.manifest.notes}


@agent.command(name="export")
@click.argument("name")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@output.as_json
def save(name: str, *, folder: Path, as_json: bool) -> None:
    """Write an agent's current revision and its rows into a new folder."""
    from pocketlet.agents import portable

    saved = session.call(portable.save, name, folder)
    if as_json:
        output.document({"agent": saved.name, "revision": saved.current, "folder": str(folder)})
    else:
        output.line(f"{saved.name}, revision {saved.current}, is in {folder}.")


@agent.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the agents."""
    from pocketlet.agents import agent as agents

    found = session.api(agents.everyone)
    if as_json:
        output.document({"agents": [_row(one) for one in found]})
        return
    output.table(("agent", "revision", "origin"), [(one.name, one.current, one.origin) for one in found])
    if not found:
        output.note("There is none yet: `pocketlet agent import DIR`, or `pocketlet demo crm`.")


def _row(one: "agents.Agent") -> dict[str, Any]:
    return {"agent": one.name, "revision": one.current, "origin": one.origin}


@agent.command()
@click.argument("name")
@output.as_json
def show(name: str, *, as_json: bool) -> None:
    """Show an agent: its job, rules, lessons, skills and tables."""
    found = session.api(_show, name)
    if as_json:
        output.document(found)
        return
    output.line(f"{found['agent']} (revision {found['revision']}, {found['origin']}): {found['job']}")
    output.line(f"  model      {found['model']}")
    output.line(f"  tools      {', '.join(found['tools'])}")
    output.line(f"  budget     {', '.join(f'{value} USD a {name}' for name, value in found['budget'].items())}")
    output.line(f"  approvals  {output.pairs(found['approvals']) or 'every mail is asked for'}")
    output.line(f"  mail       {found['mail'] or 'none'}")
    for title in ("lessons", "skills"):
        output.line(f"  {title}")
        for item in found[title]:
            output.line(f"    {item['name']}: {item['text']}")
    output.line("  tables")
    for row in found["tables"]:
        output.line(f"    {row}")


async def _show(conn: "pool.Conn", name: str) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions

    found = await agents.get(conn, name)
    playbook = await revisions.load(conn, found, found.current)
    manifest = playbook.manifest
    lessons = [{"name": one.name, "text": one.body, "when": dict(one.predicate)} for one in playbook.lessons]
    return _row(found) | {
        "job": manifest.job,
        "model": manifest.model,
        "tools": manifest.tools,
        "budget": dict(manifest.budget),
        "approvals": dict(manifest.approvals),
        "recipients": manifest.recipients,
        "mail": manifest.mail_address,
        "facts": {fact: list(values) for fact, values in manifest.facts.items()},
        "instructions": playbook.instructions,
        "lessons": lessons,
        "skills": [{"name": one.name, "text": one.description} for one in playbook.skills],
        "tables": playbook.tables.splitlines(),
        "digest": playbook.digest,
    }


@agent.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def remove(name: str, *, yes: bool, as_json: bool) -> None:
    """Remove an agent with its data, runs and revisions; what it cost stays in the ledger."""
    from pocketlet.agents import portable

    if not yes and not _confirmed(name):
        raise errors.Refused("Nothing was removed.", hint=f"`pocketlet agent remove {name} --yes` removes it.")
    session.call(portable.remove, name)
    if as_json:
        output.document({"agent": name, "removed": True})
    else:
        output.line(f"{name} is removed.")


def _confirmed(name: str) -> bool:
    if not sys.stdin.isatty():
        return False
    return click.prompt(f"Type {name} to remove it with all its data", err=True, default="") == name
