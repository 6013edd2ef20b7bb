"""Triggers of an agent: what starts its runs, when next, what came of it, and the forms that change it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import slots, triggers
from pocketlet.surfaces.web.screens import filled, once, screen

LATEST = 5  # slots of each trigger that the page shows
Work = Callable[[screen.Look, str, str, dict[str, str]], Awaitable[Response]]
FIELDS = ("name", "kind", "schedule", "zone", "task", "when", "catch_up", "overlap", "secret")


async def show(look: screen.Look) -> Response:
    """All triggers; with `add` or `edit` in the query a form beside them, with `look` what its schedule means."""
    agent = look.path["agent"]
    found = await triggers.listing(look.caller, agent)
    form = _form(look, found)
    said = ""
    if form and look.asked("look"):
        form |= {name: look.asked(name, form[name]) for name in FIELDS}
        try:
            form["preview"] = await triggers.preview(look.caller, schedule=form["schedule"], zone=form["zone"])
        except errors.BadInput as error:
            said = filled.amiss(error)
    return await _page(look, found, form, said)


async def when(look: screen.Look) -> Response:
    """What a schedule means, as a part of the form."""
    await triggers.listing(look.caller, look.path["agent"])
    try:
        found = await triggers.preview(look.caller, schedule=look.asked("schedule"), zone=look.asked("zone"))
    except errors.BadInput as error:
        return screen.part(look, "triggers_when.html", preview=None, said_wrong=filled.amiss(error))
    return screen.part(look, "triggers_when.html", preview=found, said_wrong="")


async def save(look: screen.Look) -> Response:
    """A trigger that is added or changed; what can't be used comes back with the form."""
    agent, form = look.path["agent"], await look.form()
    body = {name: form.get(name, "") for name in FIELDS if name != "name"}
    try:
        entry = filled.body(triggers.Entry, revision=form.get("revision", ""), **body)
        changed = await triggers.put(look.caller, agent, form.get("name", ""), entry)
    except errors.BadInput as error:
        found = await triggers.listing(look.caller, agent)
        values = {"new": form.get("new") == "yes", "preview": None, **{name: form.get(name, "") for name in FIELDS}}
        return await _page(look, found, values, filled.amiss(error), status=422)
    return screen.to(f"/agents/{agent}/triggers", changed.said)


async def slot(look: screen.Look) -> Response:
    """One slot: what came, and what became of it."""
    found = await slots.show(look.caller, filled.number(look.path["slot"]))
    view = screen.View("triggers_slot.html", f"Slot {found.slot}", "triggers", found.agent)
    return await screen.page(look, view, slot=found, agent_name=found.agent)


async def replay(look: screen.Look) -> Response:
    """The same event once more."""
    found = await slots.show(look.caller, filled.number(look.path["slot"]))

    async def acted() -> once.Came:
        done = await slots.replay(look.caller, found.slot)
        return once.Came(f"/agents/{found.agent}/triggers", done.said)

    return await once.act(look, await look.form(), acted)


def _form(look: screen.Look, found: triggers.Triggers) -> dict[str, Any]:
    """What stands in the form; empty if none is asked for. Raises errors.NotFound."""
    empty: dict[str, Any] = dict.fromkeys(FIELDS, "") | {"preview": None, "new": True}
    if look.asked("add") in ("schedule", "webhook"):
        return empty | {"kind": look.asked("add"), "zone": found.zone if look.asked("add") == "schedule" else ""}
    name = look.asked("edit")
    if not name:
        return {}
    one = next((item for item in found.items if item.name == name and item.editable), None)
    if one is None:
        raise errors.NotFound(f"There is no trigger {name!r} that a form can change.")
    known = {field: getattr(one, field) for field in FIELDS if field not in ("schedule", "secret")}
    secrets = "" if len(one.secrets) != 1 else one.secrets[0].name
    return empty | known | {"schedule": one.source, "secret": secrets, "new": False}


async def _page(
    look: screen.Look, found: triggers.Triggers, form: Mapping[str, Any], said_wrong: str, *, status: int = 200
) -> Response:
    latest = {
        one.name: (await slots.listing(look.caller, found.agent, trigger=one.name, limit=LATEST)).items
        for one in found.items
    }
    view = screen.View("triggers.html", "Triggers", "triggers", found.agent, status)
    values = {"triggers": found.items, "revision": found.revision, "zone": found.zone, "latest": latest}
    return await screen.page(look, view, **values, form=form, said_wrong=said_wrong, keeper=look.caller.owner.keeper)


async def _pause(look: screen.Look, agent: str, name: str, form: dict[str, str]) -> Response:
    reason = filled.body(triggers.Reason, because=form.get("because") or "paused by the owner")
    return _back(agent, (await triggers.pause(look.caller, agent, name, reason)).said)


async def _resume(look: screen.Look, agent: str, name: str, _: dict[str, str]) -> Response:
    return _back(agent, (await triggers.resume(look.caller, agent, name)).said)


async def _fire(look: screen.Look, agent: str, name: str, form: dict[str, str]) -> Response:
    came = filled.body(triggers.Came, body=form.get("body", ""))

    async def acted() -> once.Came:
        done = await triggers.fire(look.caller, agent, name, came)
        return once.Came(f"/agents/{agent}/triggers", done.said)

    return await once.act(look, form, acted)


async def _simulate(look: screen.Look, agent: str, name: str, form: dict[str, str]) -> Response:
    came = filled.body(triggers.Came, body=form.get("body", ""))

    async def acted() -> once.Came:
        done = await triggers.simulate(look.caller, agent, name, came)
        return once.Came(f"/runs/{done.run}", done.said)

    return await once.act(look, form, acted)


async def _remove(look: screen.Look, agent: str, name: str, form: dict[str, str]) -> Response:
    done = await triggers.remove(look.caller, agent, name, revision=filled.number(form.get("revision", "")))
    return _back(agent, done.said)


async def _secret(look: screen.Look, agent: str, name: str, form: dict[str, str]) -> Response:
    value = filled.body(triggers.TriggerSecretValue, value=form.get("value", ""), name=form.get("name", ""))
    return _back(agent, (await triggers.secret(look.caller, agent, name, value)).said)


def _back(agent: str, said: str) -> Response:
    return screen.to(f"/agents/{agent}/triggers", said)


WORDS: Mapping[str, Work] = {
    "pause": _pause,
    "resume": _resume,
    "fire": _fire,
    "simulate": _simulate,
    "remove": _remove,
    "secret": _secret,
}


def _doing(act: Work) -> screen.Handler:
    async def handle(look: screen.Look) -> Response:
        return await act(look, look.path["agent"], look.path["trigger"], await look.form())

    return handle


SCREENS = (
    screen.Screen("GET", "/agents/{agent}/triggers", show),
    screen.Screen("POST", "/agents/{agent}/triggers", save),
    screen.Screen("GET", "/agents/{agent}/triggers/when", when),
    *[
        screen.Screen("POST", f"/agents/{{agent}}/triggers/{{trigger}}/{word}", _doing(act))
        for word, act in WORDS.items()
    ],
    screen.Screen("GET", "/slots/{slot}", slot),
    screen.Screen("POST", "/slots/{slot}/replay", replay),
)
