"""Skills: what an agent can read up on; installed at a digest that you have seen, edited, put by and tried.

Nothing of a skill is run, and none gives an agent a tool, a host or an address: what it speaks of is shown.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.agents.skills import permissions as permits
from pocketlet.agents.skills import source as sources
from pocketlet.agents.skills import store
from pocketlet.db import pool
from pocketlet.learning import adoption
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint

MAX_TEXT = 200_000  # characters of SKILL.md

Place = Annotated[str, pydantic.Field(min_length=1, max_length=1_000)]
Text = Annotated[str, pydantic.Field(min_length=1, max_length=MAX_TEXT)]


class Permissions(endpoint.Model):
    """What a text speaks of: paths of programs, hosts, mail addresses, tools. It grants nothing."""

    scripts: list[str]
    hosts: list[str]
    addresses: list[str]
    tools: list[str]


class Skill(endpoint.Model):
    """`state`: own (written here), as installed, edited, or off. `revision`: it was installed with, or had it last.

    `undeclared`: what its text speaks of now and did not when you installed it.
    """

    name: str
    description: str
    state: str
    problem: str
    source: str | None
    commit: str | None
    digest: str | None
    revision: int | None
    installed_at: datetime | None
    permissions: Permissions
    undeclared: Permissions
    files: list[str]


class Skills(endpoint.Model):
    """All skills of an agent, by name. `put_by`: those that were turned off; no run is told of them.

    `current`: the revision that they are of.
    """

    current: int
    items: list[Skill]
    put_by: list[Skill]


class SkillShown(endpoint.Model):
    """A skill with its texts by path; `edits`: a unified diff of what you changed since it was installed."""

    skill: Skill
    texts: dict[str, str]
    edits: str


class SkillSource(endpoint.Model):
    """Where a skill comes from: a git URL (URL[@COMMIT][#FOLDER]); or, if you keep the installation, a folder, an
    archive or REGISTRY.json#NAME on it. `skill`: the one to update (then empty `source`: from where it came).
    `prefer`: where you and upstream changed a file, ours (yours stays) or theirs.
    """

    source: Annotated[str, pydantic.Field(max_length=1_000)] = ""
    skill: Annotated[str, pydantic.Field(max_length=64)] = ""
    prefer: Literal["", "ours", "theirs"] = ""


class Plan(endpoint.Model):
    """What installing, updating or editing would mean. `diff`, `conflict_diff`: unified diffs. `idle`: nothing.

    `added` and `dropped`: what it speaks of beyond what you saw last, and no more. `undecided`: files that both you and
    upstream changed, until you say whose counts.
    """

    skill: str
    source: str
    commit: str | None
    digest: str
    is_new: bool
    idle: bool
    diff: str
    permissions: Permissions
    added: Permissions
    dropped: Permissions
    kept: list[str]
    undecided: list[str]
    conflict_diff: str
    notes: list[str]


class Install(SkillSource):
    """`digest`: that of the plan which you saw; if the source holds another one by now, nothing is done."""

    digest: Annotated[str, pydantic.Field(min_length=1, max_length=100)]


class SkillEdit(endpoint.Model):
    """Another text of SKILL.md. `revision`: the one that was current when you read it."""

    text: Text
    revision: int


class SkillTask(endpoint.Model):
    """What to try the skill on."""

    task: Annotated[str, pydantic.Field(min_length=1, max_length=20_000)]


class SkillChanged(endpoint.Model):
    """`revision`: the one that counts now; going back to the one before undoes it."""

    said: str
    revision: int


class SkillTrial(endpoint.Model):
    """`run`: dry, so that nothing of it leaves."""

    run: int


async def listing(caller: callers.Caller, agent: str) -> Skills:
    """Lists the skills of an agent, where they come from and what is wrong with them."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        playbook = await revisions.load(conn, mine, mine.current)
        items = [_skill(one) for one in await store.standings(conn, mine, mine.current, playbook)]
        gone = await store.put_by(conn, mine)
        put_by = [await _put_by(conn, mine, name, n) for name, n in sorted(gone.items())]
    return Skills(current=mine.current, items=items, put_by=put_by)


async def _put_by(conn: pool.Conn, agent: agents.Agent, name: str, n: int) -> Skill:
    playbook = await revisions.load(conn, agent, n)
    one = next(one for one in await store.standings(conn, agent, n, playbook) if one.skill.name == name)
    return _skill(one).model_copy(update={"state": "off", "revision": n})


async def show(caller: callers.Caller, agent: str, skill: str) -> SkillShown:
    """Shows a skill: its texts, what they speak of, where they come from and what was changed since."""
    async with caller.database.api() as conn:
        one = await store.find(conn, await callers.agent(conn, caller, agent), skill)
    return SkillShown(skill=_skill(one), texts=dict(one.skill.files), edits=store.edits(one))


async def plan(caller: callers.Caller, agent: str, *, body: SkillSource) -> Plan:
    """Shows what installing or updating a skill would mean; nothing is changed, and nothing of it is run."""
    return _planned((await _plan(caller, agent, body))[1])


async def install(caller: callers.Caller, agent: str, *, body: Install) -> SkillChanged:
    """Installs or updates a skill at the digest that you saw in the plan; it counts at once."""
    mine, planned = await _plan(caller, agent, body)
    if planned.found.package.digest != body.digest:
        raise errors.Conflict(
            "The source holds something else by now than what you looked at.", hint="Nothing was changed: look again."
        )
    if planned.idle:
        return SkillChanged(said="There is nothing new.", revision=mine.current)
    async with caller.database.api() as conn:
        n, what = await store.draft(conn, mine, planned)
        await adoption.adopt(conn, mine, n, what)
    done = "installed" if planned.is_new else "updated"
    return SkillChanged(said=f"The skill {planned.found.package.name} is {done}, with revision {n}.", revision=n)


async def preview(caller: callers.Caller, agent: str, skill: str, *, body: SkillEdit) -> Plan:
    """Shows what an edit of SKILL.md would change, and what the text would speak of beyond what it does now."""
    async with caller.database.api() as conn:
        one = await store.find(conn, await callers.agent(conn, caller, agent), skill)
    files = dict(one.skill.files) | {"SKILL.md": body.text}
    then, now = permits.derive(files), permits.derive(one.skill.files)
    after = replace(one.skill, files=files)
    diff = revisions.diff(
        playbooks.Playbook("", "", skills=(one.skill,)), playbooks.Playbook("", "", skills=(after,)), ("now", "then")
    )
    return Plan(
        skill=skill,
        source=one.upstream.source if one.upstream else "",
        commit=None,
        digest=one.upstream.digest if one.upstream else "",
        is_new=False,
        idle=not diff,
        diff=diff,
        permissions=_permissions(then),
        added=_permissions(then.beyond(now)),
        dropped=_permissions(now.beyond(then)),
        kept=[],
        undecided=[],
        conflict_diff="",
        notes=[],
    )


async def edit(caller: callers.Caller, agent: str, skill: str, *, body: SkillEdit) -> SkillChanged:
    """Edits a skill: another text in the place of SKILL.md; it counts at once, and updates keep it."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        one = await store.find(conn, mine, skill)
        files = dict(one.skill.files) | {"SKILL.md": body.text}
        n, what = await store.draft_edited(conn, mine, body.revision, skill, files)
        await adoption.adopt(conn, mine, n, what)
    return SkillChanged(said=f"Your text of {skill} counts, with revision {n}.", revision=n)


async def off(caller: callers.Caller, agent: str, skill: str) -> SkillChanged:
    """Turns a skill off: a revision without it counts, and runs are not told of it."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        n, what = await store.draft_without(conn, mine, skill)
        await adoption.adopt(conn, mine, n, what)
    return SkillChanged(said=f"The skill {skill} is off, with revision {n}.", revision=n)


async def on(caller: callers.Caller, agent: str, skill: str) -> SkillChanged:
    """Turns a skill on again, as it was last; it has to be what was installed, to the byte."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        n, what = await store.draft_again(conn, mine, skill)
        await adoption.adopt(conn, mine, n, what)
    return SkillChanged(said=f"The skill {skill} is on again, with revision {n}.", revision=n)


async def trial(caller: callers.Caller, agent: str, skill: str, *, body: SkillTask) -> SkillTrial:
    """Starts a dry run that is asked to read a skill and to do what it says for your task: nothing leaves."""
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        one = await store.find(conn, mine, skill)
        if one.state == "off":
            raise errors.Conflict(f"The skill {skill!r} is off, so no run is told of it.", hint=one.problem)
        raw = f"Read the skill {skill}, and do what it says for this:\n\n{body.task}".encode()
        manifest = (await revisions.load(conn, mine, mine.current)).manifest
        number = await runs.create(conn, mine, tasks.read(raw), raw, manifest, dry=True)
    return SkillTrial(run=number)


async def _plan(caller: callers.Caller, agent: str, asked: SkillSource) -> tuple[agents.Agent, store.Plan]:
    async with caller.database.api() as conn:
        mine = await callers.agent(conn, caller, agent)
        place = asked.source.strip()
        if asked.skill and not place:
            place = store.origin(await store.find(conn, mine, asked.skill))
    found = await _find(caller, place)
    async with caller.database.api() as conn:
        if asked.skill:
            return mine, await store.plan_update(conn, mine, asked.skill, found, prefer=asked.prefer)
        return mine, await store.plan_add(conn, mine, found)


async def _find(caller: callers.Caller, place: str) -> sources.Found:
    """Raises errors.BadInput, errors.Refused, errors.NotFound, errors.Unreachable."""
    if not place:
        raise errors.BadInput("Say where the skill comes from.", hint="A git URL, or a folder on this machine.")
    if not place.startswith("https://"):
        caller.must_keep()  # files of the machine are read with our rights, not with those of whoever asks
    try:
        return await sources.find(place)
    except OSError as error:
        raise errors.BadInput(f"The skill can't be read: {error.strerror or 'an error of the file system'}.") from error


def _skill(one: store.Standing) -> Skill:
    up = one.upstream
    return Skill(
        name=one.skill.name,
        description=one.skill.description,
        state=one.state,
        problem=one.problem,
        source=up.source if up else None,
        commit=up.commit or None if up else None,
        digest=up.digest if up else None,
        revision=up.revision if up else None,
        installed_at=up.at if up else None,
        permissions=_permissions(permits.derive(one.skill.files)),
        undeclared=_permissions(one.undeclared),
        files=sorted(one.skill.files),
    )


def _planned(made: store.Plan) -> Plan:
    came, before = made.found.package, made.before or store.NOTHING
    return Plan(
        skill=came.name,
        source=made.found.source,
        commit=made.found.commit or None,
        digest=came.digest,
        is_new=made.is_new,
        idle=made.idle,
        diff=made.diff,
        permissions=_permissions(made.permissions),
        added=_permissions(made.permissions.beyond(before)),
        dropped=_permissions(before.beyond(made.permissions)),
        kept=list(made.merged.kept),
        undecided=list(made.merged.undecided),
        conflict_diff=made.conflicts,
        notes=list(came.notes),
    )


def _permissions(found: permits.Permissions) -> Permissions:
    record: Mapping[str, list[str]] = found.record()
    return Permissions(**record)


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/skills", "read", listing),
    endpoint.Endpoint("GET", "/agents/{agent}/skills/{skill}", "read", show),
    endpoint.Endpoint("POST", "/agents/{agent}/skills/plan", "admin", plan),
    endpoint.Endpoint("POST", "/agents/{agent}/skills", "admin", install),
    endpoint.Endpoint("POST", "/agents/{agent}/skills/{skill}/preview", "read", preview),
    endpoint.Endpoint("PUT", "/agents/{agent}/skills/{skill}/text", "admin", edit),
    endpoint.Endpoint("POST", "/agents/{agent}/skills/{skill}/off", "admin", off),
    endpoint.Endpoint("POST", "/agents/{agent}/skills/{skill}/on", "admin", on),
    endpoint.Endpoint("POST", "/agents/{agent}/skills/{skill}/trial", "run", trial, keyed=True),
)
