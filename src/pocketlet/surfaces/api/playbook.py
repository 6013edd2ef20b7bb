"""The playbook: its revisions, what each says, on whose word, and how new lessons stand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic

from pocketlet.agents import agent as agents
from pocketlet.agents import playbook as playbooks
from pocketlet.agents import revisions
from pocketlet.db import pool
from pocketlet.learning import assertions, blame, canary
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint, paging

Number = Annotated[int, pydantic.Field(ge=1, lt=2**31 - 1, description="The number of a revision.")]
Choice = Annotated[int, pydantic.Field(ge=0, lt=2**31 - 1, description="The number of a revision.")]
State = Literal["current", "draft", "asked", "adopted", "narrowed", "discarded"]


class Revision(endpoint.Model):
    """One revision. `state`: draft (replays are under way), asked (it waits for you), current, adopted (it counted),
    narrowed (a narrower draft stands in its place), discarded. `feedback` and `run`: what it came of. `because`: why it
    was decided so, by the owner or the gate.
    """

    revision: int
    parent: int | None
    state: State
    author: str
    reason: str
    feedback: int | None
    run: int | None
    created_at: datetime
    decided_by: str | None
    because: str | None


class Canary(endpoint.Model):
    """How the first `watched` runs went that were told the lesson; `new` until there were so many."""

    new: bool
    watched: int
    cited: int
    judged: int
    right: int
    wrong: int


class Lesson(endpoint.Model):
    """A rule for runs whose facts hold all of `when`. `expect`: what work that follows it shows. `label`: whose words
    stand in it.
    """

    name: str
    topic: str
    body: str
    when: dict[str, str]
    expect: list[dict[str, str]]
    authority: str
    label: str
    since: str
    feedback: int | None
    run: int | None
    canary: Canary | None

    @property
    def shows(self) -> list[str]:
        """What is expected, as sentences."""
        return [assertions.read(one).sentence() for one in self.expect]


class PlaybookSkill(endpoint.Model):
    """An Agent Skill, with the names of its files."""

    name: str
    description: str
    files: list[str]


class Playbook(endpoint.Model):
    """A revision, whole. `current`: the revision that counts."""

    agent: str
    current: int
    about: Revision
    manifest: str
    instructions: str
    lessons: list[Lesson]
    skills: list[PlaybookSkill]
    tables: str
    digest: str


class BlameLine(endpoint.Model):
    """Lines of a file of the playbook, with the revision that brought them, on whose word, and what that cost."""

    file: str
    first: int
    last: int
    text: str
    revision: int
    author: str
    reason: str
    created_at: datetime
    feedback: int | None
    verdict: str | None
    comment: str | None
    run: int | None
    curation: int | None
    cost: Decimal


class Blame(endpoint.Model):
    """Every part of the playbook in force."""

    agent: str
    revision: int
    items: list[BlameLine]


async def listing(
    caller: callers.Caller, agent: str, *, limit: paging.Limit = 50, cursor: paging.Cursor = ""
) -> endpoint.Page[Revision]:
    """Lists an agent's revisions, the newest first."""
    below = paging.after(cursor)
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        below = min(below, 2**31 - 1) if below is not None else None
        rows = await revisions.history(conn, found, below=below, most=limit + 1)
    kept, following = paging.cut(rows, limit, "revision")
    return endpoint.Page[Revision](items=[stands(row) for row in kept], next=following)


async def current(caller: callers.Caller, agent: str) -> Playbook:
    """Shows the playbook that new runs are pinned to."""
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        return await _playbook(conn, found, found.current)


async def show(caller: callers.Caller, agent: str, revision: Number) -> Playbook:
    """Shows one revision, whole: manifest, instructions, lessons, skills."""
    async with caller.database.api() as conn:
        return await _playbook(conn, await callers.agent(conn, caller, agent), revision)


async def origins(caller: callers.Caller, agent: str) -> Blame:
    """Shows where each line of the playbook in force comes from. The cost is that of the whole revision: its
    curation and its replays.
    """
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        rows = await blame.document(conn, found)
    return Blame(agent=agent, revision=found.current, items=[BlameLine(**_costing(row)) for row in rows])


def _costing(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with what it cost under the name that answers have for it."""
    return {"cost" if name == "cost_usd" else name: value for name, value in row.items()}


def stands(row: Mapping[str, Any]) -> Revision:
    """A revision as it is answered. `row`: that of `revisions.one`."""
    return Revision(**{name: row[name] for name in Revision.model_fields})


async def _playbook(conn: pool.Conn, agent: agents.Agent, revision: int) -> Playbook:
    about = stands(await revisions.one(conn, agent, revision))
    found = await revisions.load(conn, agent, revision)
    watched = {row["lesson"]: row for row in await canary.standing(conn, agent)} if revision == agent.current else {}
    return Playbook(
        agent=agent.name,
        current=agent.current,
        about=about,
        manifest=found.manifest_text,
        instructions=found.instructions,
        lessons=[lesson(one, watched.get(one.id)) for one in found.lessons],
        skills=_skills(found.skills),
        tables=found.tables,
        digest=found.digest,
    )


def lesson(found: playbooks.Lesson, row: Mapping[str, Any] | None = None) -> Lesson:
    """A lesson as it is answered. `row`: how its first runs went, if it is in force."""
    names = ("name", "topic", "body", "authority", "label", "since", "feedback", "run")
    return Lesson(
        **{name: getattr(found, name) for name in names},
        when=dict(found.predicate),
        expect=[dict(item) for item in found.expect],
        canary=_canary(row) if row else None,
    )


def _canary(row: Mapping[str, Any]) -> Canary:
    figures = {name: row[name] for name in ("cited", "judged", "right", "wrong")}
    return Canary(new=row["cited"] < canary.RUNS, watched=canary.RUNS, **figures)


def _skills(found: Sequence[playbooks.Skill]) -> list[PlaybookSkill]:
    return [PlaybookSkill(name=one.name, description=one.description, files=sorted(one.files)) for one in found]


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/revisions", "read", listing),
    endpoint.Endpoint("GET", "/agents/{agent}/playbook", "read", current),
    endpoint.Endpoint("GET", "/agents/{agent}/revisions/{revision}", "read", show),
    endpoint.Endpoint("GET", "/agents/{agent}/blame", "read", origins),
)
