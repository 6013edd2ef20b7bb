"""Installed skills: what came from where, pinned by digest, beside the revision that brought it; never changed.

A skill's text in force is that of the revision. What came from upstream is kept apart from it, so that your edits (and
the manager's), which are revisions too, are told from it and survive an update.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import revisions
from pocketlet.agents.skills import merge, package
from pocketlet.agents.skills import permissions as permits
from pocketlet.agents.skills import source as sources
from pocketlet.db import pool, queries

Q = queries.load("skills")
NOTHING = permits.Permissions()


@dataclass(frozen=True, slots=True)
class Upstream:
    """What was installed, and with which revision. `problem`: why it can't be trusted any more, or empty."""

    source: str
    commit: str
    digest: str
    permissions: permits.Permissions
    files: Mapping[str, str]
    others: Mapping[str, str]
    revision: int
    at: datetime
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """A skill of a revision. `state`: own (written here), as installed, edited, or off: then no run is told of it.

    `undeclared`: what its text speaks of now and did not when you installed it.
    """

    skill: playbooks.Skill
    state: str
    upstream: Upstream | None = None
    undeclared: permits.Permissions = NOTHING

    @property
    def problem(self) -> str:
        """What is wrong, in a sentence, or empty."""
        if self.upstream and self.upstream.problem:
            return self.upstream.problem
        more = "; ".join(self.undeclared.lines())
        return f"It was edited since and speaks of more than you saw when you installed it ({more})." if more else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """An installation or an update, worked out and not yet written.

    `diff` and `conflicts` (yours against upstream's, of the files that both changed) are unified diffs; `before` is
    what the owner saw last; `idle`: this very package is installed, and nothing of it would change.
    """

    found: sources.Found
    parent: int
    merged: merge.Merged
    diff: str
    permissions: permits.Permissions
    before: permits.Permissions | None = None
    conflicts: str = ""
    idle: bool = False

    @property
    def is_new(self) -> bool:
        """Whether the skill is installed for the first time."""
        return self.before is None


async def standings(conn: pool.Conn, agent: agents.Agent, n: int, playbook: playbooks.Playbook) -> list[Standing]:
    """Every skill of revision `n`, whose playbook is given, by name."""
    known = await _upstreams(conn, agent, n, playbook)
    return [_standing(skill, known.get(skill.name)) for skill in sorted(playbook.skills, key=lambda one: one.name)]


def _standing(skill: playbooks.Skill, upstream: Upstream | None) -> Standing:
    if upstream is None:
        return Standing(skill, "own")
    more = permits.derive(skill.files).beyond(upstream.permissions)
    if upstream.problem:
        return Standing(skill, "off", upstream, more)
    return Standing(skill, "as installed" if skill.files == upstream.files else "edited", upstream, more)


async def in_force(
    conn: pool.Conn, agent: agents.Agent, n: int, playbook: playbooks.Playbook
) -> tuple[playbooks.Playbook, list[Standing]]:
    """The playbook of revision `n` as a run may have it: without the skills that are off; and those skills."""
    if not playbook.skills:
        return playbook, []
    off = [one for one in await standings(conn, agent, n, playbook) if one.state == "off"]
    names = {one.skill.name for one in off}
    kept = tuple(skill for skill in playbook.skills if skill.name not in names)
    return (replace(playbook, skills=kept) if off else playbook), off


async def _upstreams(conn: pool.Conn, agent: agents.Agent, n: int, playbook: playbooks.Playbook) -> dict[str, Upstream]:
    """By name, what was installed last on the way to revision `n`; checked against its pins."""
    here = {skill.name: skill.files for skill in playbook.skills}
    rows = await (await conn.execute(Q["upstream"], {"agent": agent.id, "n": n})).fetchall()
    return {row["name"]: _upstream(row, here) for row in rows if row["name"] in here and row["digest"]}


def _upstream(row: Mapping[str, Any], here: Mapping[str, Mapping[str, str]]) -> Upstream:
    name, problem = row["name"], ""
    if package.digest(row["files"], row["others"]) != row["digest"]:
        problem = "What is stored of it is not what was installed: its digest differs. It is off."
    elif package.digest(row["put"] or {}) != row["installed"]:
        problem = f"Its text in revision {row['revision']} is not what was put there: its digest differs. It is off."
    return Upstream(
        source=row["source"],
        commit=row["commit_id"],
        digest=row["digest"],
        permissions=permits.from_record(row["permissions"], name),
        files=row["files"],
        others=row["others"],
        revision=row["revision"],
        at=row["installed_at"],
        problem=problem,
    )


async def find(conn: pool.Conn, agent: agents.Agent, name: str) -> Standing:
    """A skill of the current revision. Raises errors.NotFound."""
    playbook = await revisions.load(conn, agent, agent.current)
    for one in await standings(conn, agent, agent.current, playbook):
        if one.skill.name == name:
            return one
    names = ", ".join(skill.name for skill in playbook.skills) or "none"
    raise errors.NotFound(f"{agent.name} has no skill {name!r}.", hint=f"There are: {names}.")


def origin(one: Standing) -> str:
    """Where its updates come from. Raises errors.BadInput if it was written here."""
    if one.upstream is None:
        raise errors.BadInput(f"The skill {one.skill.name!r} was written here.", hint="Say from where it is updated.")
    return one.upstream.source


def edits(one: Standing) -> str:
    """A unified diff from what was installed to what is in force; empty for a skill that was written here."""
    if one.upstream is None:
        return ""
    came = playbooks.Playbook("", "", skills=(replace(one.skill, files=one.upstream.files),))
    return revisions.diff(came, playbooks.Playbook("", "", skills=(one.skill,)), ("installed", "now"))


async def plan_add(conn: pool.Conn, agent: agents.Agent, found: sources.Found) -> Plan:
    """What installing it would mean. Raises errors.Conflict if the agent has a skill of that name."""
    playbook = await revisions.load(conn, agent, agent.current)
    name = found.package.name
    if any(skill.name == name for skill in playbook.skills):
        raise errors.Conflict(
            f"{agent.name} has a skill {name!r} already.", hint=f"`pocketlet skill update {agent.name} {name} SOURCE`"
        )
    merged = merge.Merged(found.package.files)
    return _plan(agent, playbook, found, merged, None)


async def plan_update(
    conn: pool.Conn, agent: agents.Agent, name: str, found: sources.Found, *, prefer: str = ""
) -> Plan:
    """What updating it would mean: your edits stay, upstream's changes come, and both to one file is a conflict.

    What is off, or was written here, has nothing to compare with: then every file that differs is a conflict.
    Raises errors.NotFound, errors.Conflict if the source holds a skill of another name.
    """
    one = await find(conn, agent, name)
    if found.package.name != name:
        raise errors.Conflict(f"The source holds the skill {found.package.name!r}, not {name!r}.")
    before = one.upstream.files if one.upstream and one.state != "off" else dict[str, str]()
    merged = merge.three_way(before, one.skill.files, found.package.files, prefer=prefer)
    playbook = await revisions.load(conn, agent, agent.current)
    plan = _plan(agent, playbook, found, merged, one.upstream.permissions if one.upstream else NOTHING)
    both = ({path: side[path] for path in merged.conflicts if path in side} for side in _sides(one, found))
    shown = [playbooks.Playbook("", "", skills=(replace(one.skill, files=side),)) for side in both]
    same = one.upstream is not None and one.state != "off" and one.upstream.digest == found.package.digest
    idle = same and not plan.diff and not merged.conflicts
    return replace(plan, conflicts=revisions.diff(shown[0], shown[1], ("yours", "upstream's")), idle=idle)


def _sides(one: Standing, found: sources.Found) -> tuple[Mapping[str, str], Mapping[str, str]]:
    return one.skill.files, found.package.files


def _plan(
    agent: agents.Agent,
    playbook: playbooks.Playbook,
    found: sources.Found,
    merged: merge.Merged,
    before: permits.Permissions | None,
) -> Plan:
    skill = playbooks.parse_skill(found.package.name, merged.files)
    diff = revisions.diff(playbook, _with(playbook, skill), ("now", "then"))
    shown = found.package.permissions.along(permits.derive(merged.files))
    return Plan(found, agent.current, merged, diff, shown, before)


def _with(playbook: playbooks.Playbook, skill: playbooks.Skill) -> playbooks.Playbook:
    others = [one for one in playbook.skills if one.name != skill.name]
    return replace(playbook, skills=tuple(sorted([*others, skill], key=lambda one: one.name)))


async def draft(conn: pool.Conn, agent: agents.Agent, plan: Plan) -> tuple[int, str]:
    """Writes a plan as a draft revision, for the owner to adopt in this transaction; its number and what it is.

    Raises errors.Conflict if another revision counts by now, or if there are conflicts that nobody settled.
    """
    name, came = plan.found.package.name, plan.found.package
    if plan.merged.undecided:
        raise errors.Conflict(
            f"You and upstream both changed {', '.join(plan.merged.undecided)}.",
            hint="Nothing was changed. Add --ours (your text stays in those files) or --theirs (upstream's is taken).",
        )
    playbook = await _unmoved(conn, agent, plan.parent)
    what = f"skill {name} {'installed' if plan.is_new else 'updated'} from {plan.found.source} ({came.digest})"
    skill = playbooks.parse_skill(name, plan.merged.files)
    n = await revisions.add(conn, agent, _with(playbook, skill), revisions.Change(what, parent=agent.current))
    row = {
        "agent": agent.id,
        "revision": n,
        "name": name,
        "source": plan.found.source,
        "commit": plan.found.commit,
        "digest": came.digest,
        "installed": package.digest(plan.merged.files),
        "permissions": pool.jsonb(plan.permissions.record()),
        "files": pool.jsonb(dict(came.files)),
        "others": pool.jsonb(dict(came.others)),
    }
    await conn.execute(Q["add"], row)
    return n, what


async def draft_without(conn: pool.Conn, agent: agents.Agent, name: str) -> tuple[int, str]:
    """A draft revision without the skill, for the owner to adopt in this transaction. Raises errors.NotFound."""
    one = await find(conn, agent, name)
    playbook = await _unmoved(conn, agent, agent.current)
    left = tuple(skill for skill in playbook.skills if skill.name != name)
    what = f"skill {name} removed"
    change = revisions.Change(what, parent=agent.current)
    n = await revisions.add(conn, agent, replace(playbook, skills=left), change)
    if one.upstream:
        await conn.execute(Q["forget"], {"agent": agent.id, "revision": n, "name": name})
    return n, what


async def put_by(conn: pool.Conn, agent: agents.Agent) -> dict[str, int]:
    """Skills that the current revision does not have and one before it had: by name, the last that did."""
    rows = await (await conn.execute(Q["put_by"], {"agent": agent.id, "n": agent.current})).fetchall()
    return {row["name"]: row["revision"] for row in rows}


async def draft_again(conn: pool.Conn, agent: agents.Agent, name: str) -> tuple[int, str]:
    """A draft revision in which a skill is again as it was last, for the owner to adopt in this transaction.

    Raises errors.NotFound, errors.Tampered (what is stored of it is not what was installed).
    """
    playbook = await _unmoved(conn, agent, agent.current)
    last = (await put_by(conn, agent)).get(name)
    if last is None:
        raise errors.NotFound(f"{agent.name} had no skill {name!r} that is off now.")
    before = await revisions.load(conn, agent, last)
    one = next(one for one in await standings(conn, agent, last, before) if one.skill.name == name)
    if one.state == "off":
        raise errors.Tampered(one.problem, hint="Nothing was changed. Install it anew, from its source.")
    what = f"skill {name} is on again, as in revision {last}"
    n = await revisions.add(conn, agent, _with(playbook, one.skill), revisions.Change(what, parent=agent.current))
    if one.upstream:
        await conn.execute(Q["add"], _record(agent, n, one.skill, one.upstream))
    return n, what


def _record(agent: agents.Agent, n: int, skill: playbooks.Skill, came: Upstream) -> dict[str, object]:
    return {
        "agent": agent.id,
        "revision": n,
        "name": skill.name,
        "source": came.source,
        "commit": came.commit,
        "digest": came.digest,
        "installed": package.digest(skill.files),
        "permissions": pool.jsonb(came.permissions.record()),
        "files": pool.jsonb(dict(came.files)),
        "others": pool.jsonb(dict(came.others)),
    }


async def draft_edited(
    conn: pool.Conn, agent: agents.Agent, parent: int, name: str, files: Mapping[str, str]
) -> tuple[int, str]:
    """A draft revision in which a skill has these files, worked out for revision `parent`; for the owner to adopt.

    Where it came from stays known, so that an update keeps the edit. Raises errors.NotFound, errors.Conflict,
    errors.BadAgent.
    """
    playbook = await _unmoved(conn, agent, parent)
    one = await find(conn, agent, name)
    if one.state == "off":
        raise errors.Conflict(f"The skill {name!r} is off: {one.problem}", hint="Install it anew, from its source.")
    what = f"skill {name} edited"
    change = revisions.Change(what, parent=agent.current)
    n = await revisions.add(conn, agent, _with(playbook, playbooks.parse_skill(name, files)), change)
    return n, what


async def _unmoved(conn: pool.Conn, agent: agents.Agent, parent: int) -> playbooks.Playbook:
    """The playbook of the revision that still counts, with the agent held. Raises errors.Conflict."""
    await agents.lock(conn, agent.id)
    now = await agents.by_id(conn, agent.id)
    if now.current != parent:
        raise errors.Conflict(f"Revision {now.current} counts since; this was worked out for revision {parent}.")
    return await revisions.load(conn, now, parent)
