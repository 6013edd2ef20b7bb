"""Triggers: what starts runs by itself, when next, and what came of it; paused, fired and tried by hand."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import pydantic

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import revisions
from pocketlet.agents.triggers import calendar, firings, specs, stored, words, written
from pocketlet.agents.waking import beginning, slots, ticking
from pocketlet.db import pool
from pocketlet.learning import adoption
from pocketlet.platform import signatures, vault
from pocketlet.surfaces.api import caller as callers
from pocketlet.surfaces.api import endpoint
from pocketlet.surfaces.api import slots as slot_pages

NEXT = 5  # times of a schedule that are told
HOURS = 24  # that health looks back
HINT = "Nothing was changed: correct it and try again."
#: What happens to times that nobody started, and to one that comes while a run is under way, in plain words.
CATCH_UP: Mapping[str, str] = {
    "latest": "Of times that were missed in the last 24 hours the newest is made up for.",
    "all": "Times that were missed in the last 24 hours are made up for one after the other, {limit} at most.",
    "skip": "Times that were missed are not made up for.",
}
OVERLAP: Mapping[str, str] = {
    "skip": "While its last run is under way, it starts no other.",
    "queue": "While its last run is under way, the next one waits.",
    "parallel": "It starts a run even while another is under way.",
}
Text = Annotated[str, pydantic.Field(max_length=20_000)]
Short = Annotated[str, pydantic.Field(max_length=200)]
Revision = Annotated[int, pydantic.Field(ge=1, lt=2**31, description="The current revision, as you were shown it.")]

Known = Annotated[int, pydantic.Field(ge=0, lt=2**31, description="The revision that you were shown; 0: whichever.")]


class Firing(endpoint.Model):
    """A time at which it is due. `local`: by the clocks of the zone. `note`: what a change of clocks does to it."""

    due: datetime
    local: str
    note: str


class TriggerSecret(endpoint.Model):
    """A secret that deliveries are signed with. `ready`: it is there, and the agent may use it. It is never shown."""

    name: str
    ready: bool


class Health(endpoint.Model):
    """What became of what was due within a day, and what is open. `held_back`: of the failed ones, those that ended
    because something was not let out. `why`: of the last that failed or was missed.
    """

    due: int
    done: int
    failed: int
    held_back: int
    skipped: int
    missed: int
    not_begun: int
    under_way: int
    waits_for_you: int
    why: str


class Trigger(endpoint.Model):
    """`words`: what starts it. `task`: what its runs are told. `when`: a SELECT without which no run starts; `after`:
    those that say whether it has succeeded; `each`: where the items of a list come from. `every`: seconds between two
    looks. `address`: of a mail or a webhook. `editable`: a form can change it; else it is the text of agent.toml.
    """

    name: str
    kind: str
    words: str
    source: str
    cron: str
    zone: str
    task: str
    when: str
    after: list[str]
    each: str
    every: int
    catch_up: str
    overlap: str
    catch_up_words: str
    overlap_words: str
    paused: str | None
    address: str
    secrets: list[TriggerSecret]
    next_at: datetime | None
    last_due_at: datetime | None
    open: int
    failures: int
    upcoming: list[Firing]
    today: Health
    editable: bool


class Triggers(endpoint.Model):
    """All of an agent. `revision`: the current one, which says them."""

    agent: str
    revision: int
    zone: str
    items: list[Trigger]


class Preview(endpoint.Model):
    """What a schedule in plain words or cron means."""

    cron: str
    words: str
    zone: str
    upcoming: list[Firing]


class Reason(endpoint.Model):
    """Why, for whoever wonders later."""

    because: Short = "paused by the owner"


class Came(endpoint.Model):
    """What comes: the text of a mail, the body of a webhook; nothing for a schedule."""

    body: Annotated[str, pydantic.Field(max_length=500_000)] = ""


class Fired(endpoint.Model):
    """A slot that is due."""

    said: str
    slot: int


class Simulated(endpoint.Model):
    """A run with everything outside captured."""

    said: str
    run: int


class Entry(endpoint.Model):
    """A schedule (in plain words or cron) or a webhook. Empty: what is usual. What else the entry says is kept."""

    revision: Revision
    kind: Literal["schedule", "webhook"]
    schedule: Short = ""
    zone: Short = ""
    task: Text = ""
    when: Text = ""
    catch_up: Literal["", "latest", "all", "skip"] = ""
    overlap: Literal["", "skip", "queue", "parallel"] = ""
    secret: Short = ""


class TriggerChanged(endpoint.Model):
    """The revision that says so, and counts."""

    said: str
    revision: int


class TriggerSecretValue(endpoint.Model):
    """A secret's value; it is sealed, and never shown again. `name`: which, if the trigger names more than one."""

    value: pydantic.SecretStr
    name: Short = ""


async def listing(caller: callers.Caller, agent: str) -> Triggers:
    """Lists the triggers of an agent, which start runs by themselves: each with its next times, its health and its
    policies in plain words.
    """
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        rows = await stored.listing(conn, found.id)
        back = await slot_pages.held_back(conn, caller, HOURS)
        health = {
            row["trigger"]: row | {"held_back": back.get((agent, row["trigger"]), 0)}
            for row in await slots.today(conn, HOURS)
            if row["agent"] == agent
        }
        sealed = {row["name"] for row in await vault.listing(conn) if agent in row["agents"]}
        now = await stored.now(conn)
        playbook = await revisions.load(conn, found, found.current)
    items = [_trigger(caller, row, health[row["trigger"]], sealed, now) for row in rows]
    return Triggers(agent=agent, revision=found.current, zone=written.zone(playbook.manifest_text), items=items)


async def preview(caller: callers.Caller, *, schedule: Short = "every day at 9:00", zone: Short = "UTC") -> Preview:
    """Shows when a schedule in plain words or cron is due next: nothing is changed."""
    made = calendar.schedule(schedule, zone or "UTC")
    async with caller.database.api() as conn:
        now = await stored.now(conn)
    return Preview(cron=made.cron, words=words.describe(made.cron), zone=made.zone, upcoming=_upcoming(made, now))


async def pause(caller: callers.Caller, agent: str, trigger: str, body: Reason) -> endpoint.Done:
    """Pauses a trigger: it starts nothing until it is resumed; what comes is recorded, and times go by."""
    async with caller.database.api() as conn:
        _, found = await _find(conn, caller, agent, trigger)
    await ticking.pause(caller.database, found, body.because.strip() or "paused by the owner")
    return endpoint.Done(said=f"{trigger} is paused: it starts nothing until you let it go on.")


async def resume(caller: callers.Caller, agent: str, trigger: str) -> endpoint.Done:
    """Resumes a trigger: it starts runs again, first for what came meanwhile."""
    async with caller.database.api() as conn:
        _, found = await _find(conn, caller, agent, trigger)
        await stored.resume(conn, found)
    return endpoint.Done(said=f"{trigger} starts runs again.")


async def fire(caller: callers.Caller, agent: str, trigger: str, body: Came) -> Fired:
    """Fires a trigger now, by hand, as if it were due: the run may act outside."""
    async with caller.database.api() as conn:
        _, found = await _find(conn, caller, agent, trigger)
        event = slots.Event(f"hand:{uuid.uuid4()}", body.body.encode())
        number = await slots.record(conn, found, event)
    waits = "It starts once the trigger goes on." if found.paused is not None else "A worker takes it up."
    return Fired(said=f"{trigger} is due (slot {number}). {waits}", slot=number or 0)


async def simulate(caller: callers.Caller, agent: str, trigger: str, body: Came) -> Simulated:
    """Simulates a trigger: a run with everything outside captured; nothing is sent or recorded as due."""
    async with caller.database.api() as conn:
        owner, found = await _find(conn, caller, agent, trigger)
        number = await beginning.simulate(conn, owner, found, slots.Event("simulated", body.body.encode()))
    return Simulated(said=f"Run {number} shows what {trigger} would do. Nothing is sent.", run=number)


async def put(caller: callers.Caller, agent: str, trigger: str, body: Entry) -> TriggerChanged:
    """Adds a schedule or a webhook, or changes one: a new revision of agent.toml, which counts at once."""
    if not specs.NAME.fullmatch(trigger):
        raise errors.BadInput("A name is a small letter, then small letters, digits, - and _, 41 at most.", hint=HINT)
    async with caller.database.api() as conn:
        found = await callers.agent(conn, caller, agent)
        text = await _text(conn, found, body.revision)
        old = written.entry(text, trigger)
        made = _checked(written.put(text, trigger, _wanted(old or {}, body)))
        verb = "changed" if old else "added"
        number = await adoption.set_up(conn, found, body.revision, made, f"trigger {trigger} {verb}")
    return TriggerChanged(
        said=f"{trigger} is {verb}: revision {number} says so, and counts from now on.", revision=number
    )


async def remove(caller: callers.Caller, agent: str, trigger: str, *, revision: Known = 0) -> TriggerChanged:
    """Removes a trigger from agent.toml, as a new revision; what it did stays on record."""
    async with caller.database.api() as conn:
        found, _ = await _find(conn, caller, agent, trigger)
        revision = revision or found.current
        made = _checked(written.drop(await _text(conn, found, revision), trigger))
        number = await adoption.set_up(conn, found, revision, made, f"trigger {trigger} removed")
    return TriggerChanged(
        said=f"{trigger} is gone: revision {number} says so. Going back brings it back.", revision=number
    )


async def secret(caller: callers.Caller, agent: str, trigger: str, body: TriggerSecretValue) -> endpoint.Done:
    """Seals the secret that a webhook's deliveries are signed with, and lets the agent use it: it is never shown."""
    caller.must_keep()
    async with caller.database.api() as conn:
        found, known = await _find(conn, caller, agent, trigger)
        name = body.name or next(iter(known.spec.secrets), "")
        if known.kind != "webhook" or name not in known.spec.secrets:
            raise errors.BadInput("This trigger names no such secret.", hint=HINT)
        value = body.value.get_secret_value().strip()
        vault.check(value)
        signatures.key(value)
        await vault.put(conn, vault.key(caller.config.home), name, value)
        await vault.grant(conn, name, found.id)
    return endpoint.Done(said=f"{name} is sealed. Deliveries of {trigger} are proven with it from now on.")


async def _find(conn: pool.Conn, caller: callers.Caller, agent: str, name: str) -> tuple[agents.Agent, stored.Trigger]:
    found = await callers.agent(conn, caller, agent)
    return found, await stored.by_name(conn, found.id, name)


async def _text(conn: pool.Conn, agent: agents.Agent, revision: int) -> str:
    """agent.toml of the revision that is current. Raises errors.Conflict."""
    if agent.current != revision:
        said = f"Revision {agent.current} counts now, and you were shown revision {revision}."
        raise errors.Conflict(said, hint="Look at the triggers as they are now, and change those.")
    return (await revisions.load(conn, agent, revision)).manifest_text


def _wanted(old: Mapping[str, Any], body: Entry) -> dict[str, Any]:
    """The entry of agent.toml. What a form does not ask is kept. Raises errors.Conflict."""
    if old and body.kind not in old:
        raise errors.Conflict("There is a trigger of that name already, of another kind.", hint=written.BESIDE)
    asked = {"zone": body.zone, "task": body.task, "when": body.when, "overlap": body.overlap}
    asked |= {"catch_up": body.catch_up} if body.kind == "schedule" else {"secret": body.secret or old.get("secret")}
    asked["zone"] = body.zone if body.kind == "schedule" else ""
    own = body.schedule.strip() if body.kind == "schedule" else "standard"
    kept = {key: value for key, value in old.items() if key not in {*asked, body.kind}}
    said = {key: value.strip() if isinstance(value, str) else value for key, value in asked.items()}
    return {body.kind: own} | {key: value for key, value in said.items() if value} | kept


def _checked(text: str) -> str:
    """Raises errors.BadInput."""
    try:
        manifests.parse(text)
    except errors.BadAgent as error:
        hint = HINT if error.hint == errors.BadAgent.default_hint else error.hint
        raise errors.BadInput(str(error).removeprefix("agent.toml: "), hint=hint) from error
    return text


def _trigger(
    caller: callers.Caller, row: Mapping[str, Any], health: Mapping[str, Any], sealed: set[str], now: datetime
) -> Trigger:
    spec = specs.from_record(row["spec"])
    named = ("kind", "source", "cron", "zone", "task", "when", "each", "every", "catch_up", "overlap")
    known: dict[str, Any] = {name: getattr(spec, name) for name in named}
    known |= {name: row[name] for name in ("paused", "next_at", "last_due_at", "open", "failures")}
    due = spec.kind == "schedule" and row["paused"] is None
    return Trigger(
        **known,
        name=spec.name,
        words=specs.words(spec).replace("/hooks/AGENT/", f"/hooks/{row['agent']}/"),
        after=list(spec.after),
        catch_up_words=CATCH_UP[spec.catch_up].format(limit=spec.catch_up_limit) if spec.kind == "schedule" else "",
        overlap_words=OVERLAP[spec.overlap],
        address=_address(caller, row["agent"], spec),
        secrets=[TriggerSecret(name=name, ready=name in sealed) for name in spec.secrets],
        upcoming=_upcoming(calendar.Schedule(spec.cron, spec.zone), now) if due else [],
        today=_health(health),
        editable=spec.kind in ("schedule", "webhook"),
    )


def _health(row: Mapping[str, Any]) -> Health:
    counts = {name: int(row[name]) for name in Health.model_fields if name != "why"}
    return Health(**counts, why=row["why"] or "")


def _address(caller: callers.Caller, agent: str, spec: specs.Spec) -> str:
    if spec.kind == "webhook":
        base = caller.config.url or f"http://127.0.0.1:{caller.config.port}"
        return f"{base.rstrip('/')}/hooks/{agent}/{spec.name}"
    return spec.source if spec.kind == "mail" else ""


def _upcoming(schedule: calendar.Schedule, now: datetime) -> list[Firing]:
    found = firings.upcoming(schedule, now, NEXT)
    return [Firing(due=one.due, local=f"{one.local:%a %d %b %Y, %H:%M %Z}", note=one.note) for one in found]


ENDPOINTS = (
    endpoint.Endpoint("GET", "/agents/{agent}/triggers", "read", listing),
    endpoint.Endpoint("GET", "/schedules", "read", preview),
    endpoint.Endpoint("PUT", "/agents/{agent}/triggers/{trigger}", "admin", put),
    endpoint.Endpoint("DELETE", "/agents/{agent}/triggers/{trigger}", "admin", remove),
    endpoint.Endpoint("POST", "/agents/{agent}/triggers/{trigger}/pause", "run", pause),
    endpoint.Endpoint("POST", "/agents/{agent}/triggers/{trigger}/resume", "run", resume),
    endpoint.Endpoint("POST", "/agents/{agent}/triggers/{trigger}/fire", "run", fire, keyed=True),
    endpoint.Endpoint("POST", "/agents/{agent}/triggers/{trigger}/simulate", "run", simulate, keyed=True),
    endpoint.Endpoint("PUT", "/agents/{agent}/triggers/{trigger}/secret", "admin", secret),
)
