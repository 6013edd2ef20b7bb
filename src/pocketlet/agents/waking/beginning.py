"""A due slot becomes a run: the trigger's condition is asked without a model, then the run is one transaction."""

import json
from dataclasses import replace

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import manifest as manifests
from pocketlet.agents import revisions, runs
from pocketlet.agents import task as tasks
from pocketlet.agents.triggers import specs, stored
from pocketlet.agents.waking import conditions, lists, slots
from pocketlet.db import pool
from pocketlet.platform import notices

AGAIN = 5.0  # seconds until a slot that waits for the run before it is looked at again
LATER = 60.0  # seconds until one whose condition could not be asked is looked at again


async def begin(database: pool.Database, number: int) -> int | None:
    """Begins one slot that this worker took; the run, or None if none starts now. What stops it stands on the slot."""
    async with database.api() as conn:
        slot = await slots.load(conn, number)
        agent = await agents.by_id(conn, slot.trigger.agent_id)
    if slot.state != "due":
        return None
    try:
        work = await _has_work(database, agent, slot)
        found = await lists.items(database, agent, slot) if work and _is_list(slot) else None
    except errors.PocketletError as error:
        async with database.api() as conn:
            await slots.wait(conn, slot.id, LATER, f"its condition could not be asked: {error}")
            said = f"The condition of trigger {slot.trigger.name} can't be asked: {error}"
            await conditions.report(conn, slot.trigger.id, "condition", said, agent=agent.id)
        return None
    async with database.api() as conn:
        if not await slots.hold(conn, slot):
            return None
        if slot.trigger.spec.when:
            await notices.resolve(conn, conditions.problem(slot.trigger.id, "condition"), "it could be asked")
        if not work:
            await slots.settle(conn, slot.id, "skipped", "there was nothing to do: its condition did not hold")
            return None
        return await (start(conn, slot, agent) if found is None else _start_list(conn, slot, found))


async def _has_work(database: pool.Database, agent: agents.Agent, slot: slots.Slot) -> bool:
    """What the trigger's condition says; of an item it is not asked, as it was for the whole list."""
    when = slot.trigger.spec.when
    return slot.position is not None or not when or await conditions.holds(database, agent.name, when, {})


def _is_list(slot: slots.Slot) -> bool:
    return bool(slot.trigger.spec.each) and slot.position is None


async def _start_list(conn: pool.Conn, slot: slots.Slot, found: lists.Items) -> None:
    """The items of a slot that is locked, unless what was started before it is in its way."""
    if not await _waits(conn, slot):
        await lists.spread(conn, slot, found)


async def at_once(conn: pool.Conn, number: int) -> int | None:
    """The run of a slot that was recorded in this transaction, if nothing has to be asked before; else it stays due."""
    slot = await slots.load(conn, number)
    asks = slot.trigger.spec.when or slot.trigger.spec.each
    if slot.trigger.paused is not None or asks or not await slots.hold(conn, slot):
        return None
    return await start(conn, slot, await agents.by_id(conn, slot.trigger.agent_id))


async def start(conn: pool.Conn, slot: slots.Slot, agent: agents.Agent) -> int | None:
    """The run of a slot that is locked, unless the run before it is in its way; in the caller's transaction."""
    if await _waits(conn, slot):
        return None
    manifest = (await revisions.load(conn, agent, agent.current)).manifest
    try:
        task = task_of(slot, manifest)
    except errors.BadInput as error:
        await slots.settle(conn, slot.id, "failed", f"what came can't be read: {error}")
        said = f"What came for trigger {slot.trigger.name} can't be read: {error}"
        await conditions.report(conn, slot.trigger.id, "failed", said, agent=agent.id)
        return None
    run = await runs.create(conn, agent, task, slot.body, manifest)
    await conn.execute(slots.Q["claimed"], {"slot": slot.id, "run": run})
    return run


async def _waits(conn: pool.Conn, slot: slots.Slot) -> bool:
    """Whether the trigger's `overlap` keeps it from beginning now. A run that waits for a person is in nobody's way."""
    overlap = slot.trigger.spec.overlap
    if overlap == "parallel" or slot.position is not None:
        return False
    found = await (await conn.execute(slots.Q["under_way"], {"trigger": slot.trigger.id})).fetchone()
    if found is None:
        older = overlap == "queue" and await (await conn.execute(slots.Q["older"], {"slot": slot.id})).fetchone()
        if older:
            await slots.wait(conn, slot.id, AGAIN, f"waits for slot {older['id']}, which came before")
        return bool(older)
    other = f"run {found['run']}" if found["run"] else f"the list of slot {found['slot']}"
    if overlap == "skip":
        await slots.settle(conn, slot.id, "skipped", f"{other} was still under way")
    elif _newest_only(slot) and await (await conn.execute(slots.Q["newer"], {"slot": slot.id})).fetchone():
        await slots.settle(conn, slot.id, "skipped", f"{other} was still under way, and a newer one waits")
    else:
        await slots.wait(conn, slot.id, AGAIN, f"waits for {other}")
    return True


def _newest_only(slot: slots.Slot) -> bool:
    """Of a schedule's times that wait the newest is enough, unless it says that it catches up with all."""
    return slot.trigger.kind == "schedule" and slot.trigger.spec.catch_up != "all"


def task_of(slot: slots.Slot, manifest: manifests.Manifest) -> tasks.Task:
    """What the run is asked to do. Words of agent.toml are the playbook's; whatever came from elsewhere is outside.

    Raises errors.BadInput.
    """
    spec = slot.trigger.spec
    if slot.position is not None:
        label = str(slot.about.get("label", "outside"))
        return tasks.Task("item", _readable(slot.body), label, order=spec.task or manifest.job)
    if slot.trigger.kind in ("mail", "mailbox"):
        return replace(tasks.from_mail(slot.body), order=spec.task)
    if slot.trigger.kind == "schedule":
        return tasks.Task("schedule", spec.task, "playbook")
    text = _readable(slot.body)
    label = str(slot.about.get("label", "outside"))
    sender = str(slot.about.get("sender", ""))
    subject = str(slot.about.get("subject", ""))
    return tasks.Task(slot.trigger.kind, text, label, sender=sender, subject=subject, order=spec.task or manifest.job)


def _readable(body: bytes) -> str:
    """JSON with line breaks, or the text as it is; bytes that are no text are told as such."""
    text = body.decode("utf-8", "replace").replace("\x00", "")
    if text.lstrip()[:1] not in "{[" or not text.strip():
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except (ValueError, RecursionError):
        return text


async def simulate(conn: pool.Conn, agent: agents.Agent, trigger: stored.Trigger, event: slots.Event) -> int:
    """A dry run of what this event would start now: its effects are captured. It leaves no slot; the run's number.

    Of a list it is the first item. Raises errors.BadInput.
    """
    due = event.due or await stored.now(conn)
    slot = slots.Slot(0, trigger, event.key, "due", event.body, event.about, due, 0, None)
    if trigger.spec.each:
        slot = replace(slot, body=_first(slot), about={"label": "outside"}, position=1)
    manifest = (await revisions.load(conn, agent, agent.current)).manifest
    return await runs.create(conn, agent, task_of(slot, manifest), event.body, manifest, dry=True)


def _first(slot: slots.Slot) -> bytes:
    if specs.QUERY.match(slot.trigger.spec.each):
        hint = (
            "`pocketlet trigger fire` starts a run for each row; `dry_run = true` in agent.toml captures what they do."
        )
        raise errors.BadInput("Its items are rows of a query, which a simulation does not ask.", hint=hint)
    found = lists.of_body(slot.body, slot.trigger.spec.each)
    if found.wrong or not found.bodies:
        raise errors.BadInput(found.wrong or "Its list is empty: nothing would be started.")
    return found.bodies[0]
