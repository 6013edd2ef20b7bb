"""`pocketlet skill add | list | show | update | remove | lint`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.agents import agent as agents
    from pocketlet.agents.skills import permissions, store
    from pocketlet.agents.skills import source as sources
    from pocketlet.db import pool

FAULTY = 1  # exit code of lint
COLUMNS = ("skill", "state", "revision", "source", "digest", "problem")
SHORT = 19  # characters of a digest in the list


@click.group()
def skill() -> None:
    """Install, look at, update, remove and check skills."""


@skill.command()
@click.argument("agent")
@click.argument("source")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def add(agent: str, *, source: str, yes: bool, as_json: bool) -> None:
    """Install a skill from a folder, an archive, a git repository or a registry file.

    It is shown first with the programs, hosts and tools that it names; nothing of it is run.
    """
    found = session.call(_find, agent, source)
    plan = session.api(_plan, agent, found)
    _go_on(agent, plan, yes=yes, as_json=as_json)


@skill.command()
@click.argument("agent")
@click.argument("name")
@click.argument("source", required=False)
@click.option("--ours", is_flag=True, help="Where you and upstream changed a file, keep yours.")
@click.option("--theirs", is_flag=True, help="Where you and upstream changed a file, take upstream's.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def update(agent: str, *, name: str, source: str | None, yes: bool, as_json: bool, **sides: bool) -> None:
    """Bring a skill up to date with its source, or with another one; your edits stay.

    What changes is shown first, with the programs, hosts and tools that it names now and did not before.
    """
    prefer = [side for side, wanted in sides.items() if wanted]
    if len(prefer) > 1:
        raise click.UsageError("--ours and --theirs exclude each other: say whose text counts.")
    found = session.call(_find, agent, source, name)
    plan = session.api(_plan, agent, found, name, "".join(prefer))
    _go_on(agent, plan, yes=yes, as_json=as_json)


async def _find(database: "pool.Database", name: str, source: str | None, skill_name: str = "") -> "sources.Found":
    from pocketlet.agents import agent as agents
    from pocketlet.agents.skills import source as sources
    from pocketlet.agents.skills import store

    async with database.api() as conn:
        agent = await agents.get(conn, name)
        if source is None:
            source = store.origin(await store.find(conn, agent, skill_name))
    return await sources.find(source)


async def _plan(
    conn: "pool.Conn", name: str, found: "sources.Found", skill_name: str = "", prefer: str = ""
) -> "store.Plan":
    from pocketlet.agents import agent as agents
    from pocketlet.agents.skills import store

    agent = await agents.get(conn, name)
    if skill_name:
        return await store.plan_update(conn, agent, skill_name, found, prefer=prefer)
    return await store.plan_add(conn, agent, found)


def _go_on(agent: str, plan: "store.Plan", *, yes: bool, as_json: bool) -> None:
    """Shows what would be, asks, and does it."""
    if plan.idle:
        output.say(_document(agent, plan), "There is nothing new.", as_json=as_json)
        return
    if not as_json:
        _show(agent, plan)
    if plan.merged.undecided and not as_json:
        both = ", ".join(plan.merged.undecided)
        raise errors.Conflict(f"You and upstream both changed {both}.", hint="Add --ours or --theirs.")
    if not yes and as_json:
        output.document(_document(agent, plan))
        return
    if not yes and not _confirmed():
        raise errors.Refused("Nothing was changed.", hint="Add --yes to do it without being asked.")
    revision = session.api(_write, agent, plan)
    done = _document(agent, plan) | {"done": True, "revision": revision}
    output.say(done, f"{agent}: skill {done['skill']} is in revision {revision}, which counts now.", as_json=as_json)


def _document(agent: str, plan: "store.Plan") -> dict[str, Any]:
    came, before = plan.found.package, plan.before
    return {
        "done": False,
        "agent": agent,
        "skill": came.name,
        "source": plan.found.source,
        "commit": plan.found.commit or None,
        "digest": came.digest,
        "permissions": plan.permissions.record(),
        "added_permissions": plan.permissions.beyond(before).record() if before else plan.permissions.record(),
        "dropped_permissions": before.beyond(plan.permissions).record() if before else None,
        "kept": list(plan.merged.kept),
        "conflicts": list(plan.merged.conflicts),
        "conflict_diff": plan.conflicts,
        "notes": list(came.notes),
        "diff": plan.diff,
        "revision": None,
    }


def _show(agent: str, plan: "store.Plan") -> None:
    came = plan.found.package
    output.line(plan.diff)
    output.line()
    output.line(f"skill    {came.name}, for {agent}")
    output.line(f"source   {plan.found.source}{f' at {plan.found.commit}' if plan.found.commit else ''}")
    output.line(f"digest   {came.digest}")
    output.line(f"files    {len(plan.merged.files)}")
    output.line("It speaks of (a skill gives an agent no tool, no host and no program to run):")
    for line in plan.permissions.lines() or ["no programs, hosts, addresses or tools"]:
        output.line(f"  {line}")
    if plan.before is not None:
        _show_change(plan, plan.before)
    for note in came.notes:
        output.note(f"Note: {note}")


def _show_change(plan: "store.Plan", before: "permissions.Permissions") -> None:
    for title, lines in (
        ("new", plan.permissions.beyond(before).lines()),
        ("gone", before.beyond(plan.permissions).lines()),
    ):
        for line in lines:
            output.line(f"  {title}: {line}")
    if plan.merged.kept:
        output.line(f"Your edits stay in: {', '.join(plan.merged.kept)}")
    if plan.merged.conflicts:
        output.line(f"Changed by you and by upstream: {', '.join(plan.merged.conflicts)}")
        output.line(plan.conflicts)


def _confirmed() -> bool:
    return sys.stdin.isatty() and click.confirm("Put it into force?", err=True)


async def _write(conn: "pool.Conn", name: str, plan: "store.Plan") -> int:
    from pocketlet.agents import agent as agents
    from pocketlet.agents.skills import store

    agent = await agents.get(conn, name)
    return await _adopt(conn, agent, *await store.draft(conn, agent, plan))


async def _adopt(conn: "pool.Conn", agent: "agents.Agent", n: int, what: str) -> int:
    """The owner's word, as on any draft."""
    from pocketlet.learning import adoption

    await adoption.adopt(conn, agent, n, what)
    return n


@skill.command()
@click.argument("agent")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def remove(agent: str, *, name: str, yes: bool, as_json: bool) -> None:
    """Remove a skill; `pocketlet rollback` brings it back."""
    if not yes and not _confirmed():
        raise errors.Refused("Nothing was removed.", hint=f"`pocketlet skill remove {agent} {name} --yes` removes it.")
    revision = session.api(_remove, agent, name)
    document = {"agent": agent, "skill": name, "removed": True, "revision": revision}
    output.say(
        document,
        f"{agent}: revision {revision} has no skill {name}. `pocketlet rollback {agent}` goes back.",
        as_json=as_json,
    )


async def _remove(conn: "pool.Conn", agent_name: str, name: str) -> int:
    from pocketlet.agents import agent as agents
    from pocketlet.agents.skills import store

    agent = await agents.get(conn, agent_name)
    return await _adopt(conn, agent, *await store.draft_without(conn, agent, name))


@skill.command(name="list")
@click.argument("agent")
@output.as_json
def listing(agent: str, *, as_json: bool) -> None:
    """List an agent's skills, where they come from, and what is wrong with them."""
    found = session.api(_standings, agent)
    if as_json:
        output.document({"agent": agent, "skills": found})
        return
    rows = [
        (one["skill"], one["state"], one["revision"], one["source"], (one["digest"] or "")[:SHORT], one["problem"])
        for one in found
    ]
    output.table(COLUMNS, rows)
    for one in found:
        if one["state"] == "off":
            output.note(
                f"{one['skill']} is off: `pocketlet skill update {agent} {one['skill']} --theirs` installs it anew."
            )


async def _standings(conn: "pool.Conn", name: str) -> list[dict[str, Any]]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions
    from pocketlet.agents.skills import store

    agent = await agents.get(conn, name)
    playbook = await revisions.load(conn, agent, agent.current)
    return [_row(one) for one in await store.standings(conn, agent, agent.current, playbook)]


def _row(one: "store.Standing") -> dict[str, Any]:
    up = one.upstream
    return {
        "skill": one.skill.name,
        "description": one.skill.description,
        "state": one.state,
        "problem": one.problem or None,
        "source": up.source if up else None,
        "commit": up.commit or None if up else None,
        "digest": up.digest if up else None,
        "revision": up.revision if up else None,
        "installed_at": up.at if up else None,
        "permissions": up.permissions.record() if up else None,
        "undeclared": one.undeclared.record(),
        "files": sorted(one.skill.files),
    }


@skill.command()
@click.argument("agent")
@click.argument("name")
@output.as_json
def show(agent: str, *, name: str, as_json: bool) -> None:
    """Show a skill: its text, its files, where it comes from, and what was changed since."""
    found = session.api(_look, agent, name)
    if as_json:
        output.document(found)
        return
    output.line(f"{found['skill']} ({found['state']}): {found['description']}")
    if found["problem"]:
        output.line(f"  problem  {found['problem']}")
    for key in ("source", "commit", "digest", "revision"):
        if found[key]:
            output.line(f"  {key:<8} {found[key]}")
    output.line(f"  files    {', '.join(found['files'])}")
    permissions: dict[str, list[str]] = found["permissions"] or {}
    for kind, items in permissions.items():
        if items:
            output.line(f"  {kind:<8} {', '.join(items)}")
    output.line()
    output.line(found["text"])
    if found["edits"]:
        output.line("Since it was installed:")
        output.line(found["edits"])


async def _look(conn: "pool.Conn", agent_name: str, name: str) -> dict[str, Any]:
    from pocketlet.agents import agent as agents
    from pocketlet.agents.skills import store

    one = await store.find(conn, await agents.get(conn, agent_name), name)
    return _row(one) | {"text": one.skill.text, "edits": store.edits(one)}


@skill.command()
@click.argument("path", type=click.Path(path_type=Path))
@output.as_json
def lint(path: Path, *, as_json: bool) -> None:
    """Check a skill folder against the open standard. Exits with 1 if it breaks it."""
    from pocketlet.agents.skills import files, standard

    folder = path.absolute()
    if not folder.is_dir():
        raise errors.NotFound(f"There is no folder {path}.", hint="Give the folder that holds SKILL.md.")
    problems = standard.check(folder.name, files.read(folder))
    broken = any(one.level == "error" for one in problems)
    if as_json:
        rows = [{"level": one.level, "where": one.where, "text": one.text} for one in problems]
        output.document({"ok": not broken, "skill": folder.name, "problems": rows})
    else:
        for one in problems:
            output.line(f"{one.level}: {one.where}: {one.text}")
        output.line(f"{folder.name} {'breaks' if broken else 'follows'} the standard.")
    if broken:
        click.get_current_context().exit(FAULTY)
