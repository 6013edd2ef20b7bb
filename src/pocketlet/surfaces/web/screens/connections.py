"""Connections of an agent: what it may ask outside and how, who used it when, and the secrets that it takes."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import connecting, connections, secrets
from pocketlet.surfaces.web.screens import filled, once, screen

Form = Mapping[str, str]
Act = Callable[[screen.Look, str, Form], Awaitable[str]]
#: What the form of a new connection has in one line each; the others are lists with a line for each.
SINGLE = (
    "name",
    "base_url",
    "document",
    "only",
    "auth",
    "header",
    "prefix",
    "query",
    "token_url",
    "client_id",
    "notes",
)
LINES = ("allow", "scopes", "pinned")
AUTHS = (
    ("", "As the document says, or not at all"),
    ("none", "Not at all"),
    ("bearer", "With a token (Authorization: Bearer)"),
    ("header", "With a key in a header"),
    ("query", "With a key in the query"),
    ("basic", "With user and password (Basic)"),
    ("oauth2-client", "As an OAuth2 client (client credentials)"),
)


async def show(look: screen.Look) -> Response:
    """What the agent may use, what else there is, and the secrets."""
    agent, keeper = look.path["agent"], look.caller.owner.keeper
    mine = await connections.of_agent(look.caller, agent)
    names = {one.name for one in mine.items}
    others = [one for one in (await connections.listing(look.caller)).items if one.name not in names] if keeper else []
    values = {
        "mine": mine.items,
        "others": others,
        "cut": mine.cut,
        "keeper": keeper,
        "kept": await secrets.listing(look.caller) if keeper else None,
        "has_tool": mine.has_tool,
    }
    return await screen.page(look, screen.View("connections.html", "Connections", "connections", agent), **values)


async def one(look: screen.Look) -> Response:
    """One connection: what it allows, who used it when, and what can be done about it."""
    agent, name = look.path["agent"], look.path["name"]
    mine = await connections.of_agent(look.caller, agent)
    found = await connections.show(look.caller, name)
    used = await connections.uses(look.caller, name, limit=20, cursor=look.asked("cursor"))
    values = {
        "found": found,
        "granted": name in {item.name for item in mine.items},
        "used": used.items,
        "older": f"/agents/{agent}/connections/{name}?cursor={used.next}#used" if used.next else "",
        "cut": mine.cut,
        "keeper": look.caller.owner.keeper,
    }
    return await screen.page(look, screen.View("connections_one.html", name, "connections", agent), **values)


async def new(look: screen.Look) -> Response:
    """The form of a new connection."""
    look.caller.must_keep()
    await connections.of_agent(look.caller, look.path["agent"])
    return await _new(look, {})


async def _new(look: screen.Look, given: Form, draft: connecting.Draft | None = None, wrong: str = "") -> Response:
    view = screen.View(
        "connections_new.html", "A new connection", "connections", look.path["agent"], 422 if wrong else 200
    )
    return await screen.page(look, view, given=given, draft=draft, wrong=wrong, auths=AUTHS)


async def add(look: screen.Look) -> Response:
    """Shows what would be made; with `do` of add, makes it, and grants it to the agent."""
    agent, form = look.path["agent"], await look.form()
    await connections.of_agent(look.caller, agent)

    async def make() -> once.Came:
        made = await connecting.add(look.caller, _wanted(form))
        made = await connecting.grant(look.caller, made.name, agent)
        missing = [name for name, known in made.login.secrets.items() if not known]
        more = f" It needs the secret {missing[0]}: set it below." if missing else " Try it out below."
        return once.Came(f"/agents/{agent}/connections/{made.name}", f"{agent} may use {made.name}.{more}")

    try:
        if form.get("do") == "add":
            return await once.act(look, form, make)
        return await _new(look, form, await connecting.draft(look.caller, _wanted(form)))
    except (errors.BadInput, errors.Conflict) as error:
        return await _new(look, form, wrong=filled.amiss(error))


def _wanted(form: Form) -> connecting.Wanted:
    """Raises errors.BadInput."""
    values: dict[str, object] = {name: form.get(name, "") for name in SINGLE}
    values |= {name: [line for line in form.get(name, "").split("\n") if line.strip()] for name in LINES}
    if form.get("per_day", "").strip():
        values["per_day"] = form["per_day"].strip()
    return filled.body(connecting.Wanted, **values)


async def act(look: screen.Look) -> Response:
    """What a button of a connection's page does."""
    agent, name, form = look.path["agent"], look.path["name"], await look.form()
    wanted = ACTS.get(look.path["act"])
    if wanted is None:
        raise errors.NotFound("There is nothing here.")
    await connections.of_agent(look.caller, agent)
    page = f"/agents/{agent}/connections" + ("" if look.path["act"] in ("remove", "revoke") else f"/{name}")

    async def work() -> once.Came:
        return once.Came(page, await wanted(look, name, form))

    return await once.act(look, form, work)


async def _test(look: screen.Look, name: str, form: Form) -> str:
    body = filled.body(connecting.Path, path=form.get("path", ""))
    try:
        tested = await connecting.try_out(look.caller, name, body)
    except (errors.Unreachable, errors.EgressRefused, errors.Refused) as error:
        return f"It does not work: {filled.amiss(error)}"
    told = "; ".join(f"{call.call} answered {call.status} with {call.bytes:,} bytes" for call in tested.calls)
    return f"{'It works' if tested.ok else 'It does not work'}: {told}."


async def _off(look: screen.Look, name: str, _: Form) -> str:
    await connecting.switch(look.caller, name, connecting.Switch(off=True))
    return f"{name} is off: every call over it is refused from now on."


async def _on(look: screen.Look, name: str, _: Form) -> str:
    await connecting.switch(look.caller, name, connecting.Switch(off=False))
    return f"{name} is on again."


async def _renew(look: screen.Look, name: str, _: Form) -> str:
    renewed = await connecting.renew(look.caller, name)
    return f"{name} and its grants hold until {renewed.review_on:%d %b %Y}."


async def _allow(look: screen.Look, name: str, form: Form) -> str:
    body = filled.body(
        connecting.Allowed,
        operation=form.get("operation", ""),
        effect=form.get("effect") or None,
        harm=form.get("harm") or None,
        open=form.get("open") == "yes",
    )
    await connecting.allow(look.caller, name, body)
    return f"{name} allows {' '.join(body.operation.split())}."


async def _disallow(look: screen.Look, name: str, form: Form) -> str:
    body = filled.body(connecting.OperationLine, operation=form.get("operation", ""))
    await connecting.disallow(look.caller, name, body)
    return f"{name} allows {body.operation} no longer."


async def _grant(look: screen.Look, name: str, _: Form) -> str:
    await connecting.grant(look.caller, name, look.path["agent"])
    return f"{look.path['agent']} may use {name} from its next run on."


async def _revoke(look: screen.Look, name: str, _: Form) -> str:
    return (await connecting.revoke(look.caller, name, look.path["agent"])).said


async def _remove(look: screen.Look, name: str, form: Form) -> str:
    if form.get("typed", "").strip() != name:
        raise errors.BadInput("The name does not match. Nothing was removed.", hint=f"Type {name} to remove it.")
    return (await connecting.remove(look.caller, name)).said


async def egress(look: screen.Look) -> Response:
    """The one switch for all that agents do outside."""
    form = await look.form()
    cut = form.get("cut") == "yes"
    await connecting.cut(look.caller, connecting.Egress(cut=cut))
    said = "Nothing that agents do leaves this machine now." if cut else "What agents do outside goes through again."
    return screen.to(f"/agents/{look.path['agent']}/connections", said)


async def seal(look: screen.Look) -> Response:
    """Seals a value. It is in this request, and in no answer: a form that fails is not filled in again."""
    agent, form = look.path["agent"], await look.form()
    value = filled.body(secrets.SecretValue, value=form.get("value", ""))
    done = await secrets.put(look.caller, form.get("name", "").strip(), value)
    back = form.get("back", "")
    place = f"/agents/{agent}/connections"
    return screen.to(f"{place}/{back}" if back in await _names(look) else f"{place}#secrets", done.said)


async def _names(look: screen.Look) -> set[str]:
    return {item.name for item in (await connections.listing(look.caller)).items}


async def forget(look: screen.Look) -> Response:
    """Forgets a sealed value."""
    done = await secrets.remove(look.caller, look.path["secret"])
    return screen.to(f"/agents/{look.path['agent']}/connections#secrets", done.said)


ACTS: Mapping[str, Act] = {
    "test": _test,
    "off": _off,
    "on": _on,
    "renew": _renew,
    "allow": _allow,
    "disallow": _disallow,
    "grant": _grant,
    "revoke": _revoke,
    "remove": _remove,
}
PLACE = "/agents/{agent}/connections"
SCREENS = (
    screen.Screen("GET", PLACE, show),
    screen.Screen("GET", "/agents/{agent}/connect", new),
    screen.Screen("POST", "/agents/{agent}/connect", add),
    screen.Screen("POST", "/agents/{agent}/egress", egress),
    screen.Screen("POST", "/agents/{agent}/secrets", seal),
    screen.Screen("POST", "/agents/{agent}/secrets/{secret}/forget", forget),
    screen.Screen("GET", PLACE + "/{name}", one),
    screen.Screen("POST", PLACE + "/{name}/{act}", act),
)
