"""MCP servers of an agent: what each of their tools is, in the server's words, and what you decide about it."""

import difflib
import json
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import connecting, mcp, secrets
from pocketlet.surfaces.web.screens import filled, once, screen

Form = Mapping[str, str]
Act = Callable[[screen.Look, str, Form], Awaitable[str]]
MOST = 4_000  # characters of a description that a page shows; runs are told 1,000
IN_A_FORM = 100  # tools: a form has 200 fields at most
FIELD = "tool-"  # and a tool's digest: what you decide about it
#: What you may decide about a tool, and what it means.
WORDS = (
    ("off", "Off: no run may call it"),
    ("read", "On: it only reads"),
    ("idempotent", "On: it changes something; twice is the same as once"),
    ("keyed", "On: it changes something, once for each key"),
    ("unsafe", "On: it changes something, each time anew"),
)
WAYS = (("url", "A server elsewhere"), ("program", "A program on this machine"))
NOT_YOURS = "Tick that you would start this program yourself: it may do what you may."
#: What a server, or the way to it, can have against being asked.
REFUSALS = (errors.Unreachable, errors.EgressRefused, errors.BadInput, errors.Conflict, errors.NotFound)


async def show(look: screen.Look) -> Response:
    """The servers that the agent may use, and what else there is."""
    agent, keeper = look.path["agent"], look.caller.owner.keeper
    mine = (await mcp.of_agent(look.caller, agent)).items
    names = {one.name for one in mine}
    others = [one for one in (await mcp.listing(look.caller)).items if one.name not in names] if keeper else []
    view = screen.View("mcp.html", "MCP servers", "connections", agent)
    return await screen.page(look, view, mine=mine, others=others, keeper=keeper, where=_where)


async def one(look: screen.Look) -> Response:
    """A server: its tools with what you decided about each, and what can be done about it."""
    agent, name = look.path["agent"], look.path["server"]
    mine = (await mcp.of_agent(look.caller, agent)).items
    found = await mcp.show(look.caller, name)
    values = {
        "found": found,
        "granted": name in {item.name for item in mine},
        "lacking": found.lacks.get(agent, []),
        "keeper": look.caller.owner.keeper,
        "harmless": sum(_offered(tool) for tool in found.tools),
        "where": _where,
        "words": WORDS,
        "standing": _standing,
        "changed": _changed,
        "parameters": _parameters,
        "most": MOST,
        "batch": IN_A_FORM,
        "field": FIELD,
    }
    return await screen.page(look, screen.View("mcp_one.html", name, "connections", agent), **values)


def _where(server: mcp.McpServer) -> str:
    """Its address or its command, as a shell would have to be given it; for who may not know it, that there is one."""
    known = server.url or shlex.join(server.command)
    return known or ("a program of this machine" if server.transport == "stdio" else "a server elsewhere")


def _standing(tool: mcp.McpTool) -> str:
    """What you decided about it; empty: nothing yet."""
    return {"new": "", "off": "off"}.get(tool.state, tool.effect)


def _changed(tool: mcp.McpTool) -> list[tuple[str, str]]:
    """What is another in its words since you decided on it, as (mark, text)."""
    before, after = (tool.previous or "").splitlines(), tool.description.splitlines()
    lines = list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]
    return [("@", "…") if line.startswith("@@") else (line[:1], line[1:]) for line in lines[1:200]]


def _parameters(tool: mcp.McpTool) -> str:
    """As JSON; empty: it takes none."""
    found = tool.parameters.get("properties")
    return json.dumps(found, ensure_ascii=False, indent=1) if found else ""


async def new(look: screen.Look) -> Response:
    """The form of a new server; a program has one of its own, which says what it may do."""
    look.caller.must_keep()
    await mcp.of_agent(look.caller, look.path["agent"])
    return await _new(look, {"way": look.asked("way")})


async def _new(look: screen.Look, given: Form, wrong: str = "") -> Response:
    view = screen.View("mcp_new.html", "A new MCP server", "connections", look.path["agent"], 422 if wrong else 200)
    way = "program" if given.get("way") == "program" else "url"
    return await screen.page(look, view, given=given, way=way, ways=WAYS, wrong=wrong)


async def add(look: screen.Look) -> Response:
    """Makes a server known, and lets the agent use what of it is on later: nothing yet."""
    agent, form = look.path["agent"], await look.form()
    look.caller.must_keep()
    await mcp.of_agent(look.caller, agent)

    async def make() -> once.Came:
        made = await mcp.add(look.caller, _wanted(form))
        await mcp.grant(look.caller, made.name, agent)
        said = f"{made.name} is added. Nothing of it can be used before you have reviewed its tools."
        return once.Came(f"/agents/{agent}/mcp/{made.name}", said)

    try:
        return await once.act(look, form, make)
    except (errors.BadInput, errors.Conflict) as error:
        return await _new(look, form, filled.amiss(error))


def _wanted(form: Form) -> mcp.McpWanted:
    """Raises errors.BadInput."""
    values: dict[str, object] = {"name": form.get("name", ""), "secrets": _lines(form, "secrets")}
    if form.get("way") == "program":
        if form.get("mine") != "yes":
            raise errors.BadInput(NOT_YOURS)
        values["command"] = _command(form.get("command", ""))
    else:
        values |= {"url": form.get("url", ""), "pinned": _lines(form, "pinned")}
    return filled.body(mcp.McpWanted, **values)


def _lines(form: Form, name: str) -> list[str]:
    return [line.strip() for line in form.get(name, "").split("\n") if line.strip()]


def _command(text: str) -> Sequence[str]:
    """Program and arguments, with quotes as in a shell and nothing else of one. Raises errors.BadInput."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise errors.BadInput("A quote in the command is not closed.") from error


async def act(look: screen.Look) -> Response:
    """What a button of a server's page does."""
    agent, name, form = look.path["agent"], look.path["server"], await look.form()
    wanted = ACTS.get(look.path["act"])
    if wanted is None:
        raise errors.NotFound("There is nothing here.")
    await mcp.of_agent(look.caller, agent)
    page = f"/agents/{agent}/mcp" + ("" if look.path["act"] in ("remove", "revoke") else f"/{name}")

    async def work() -> once.Came:
        return once.Came(page, await wanted(look, name, form))

    return await once.act(
        look, {key: value for key, value in form.items() if key != "value"}, work
    )  # no secret is kept


async def _review(look: screen.Look, name: str, form: Form) -> str:
    """Asks for the tools, with what you decide about those that the form has."""
    look.caller.must_keep()
    try:
        found = await mcp.review(look.caller, name, _decided(await mcp.show(look.caller, name), form))
    except REFUSALS as error:
        return str(error)
    counts = [f"{sum(tool.state == 'on' for tool in found.tools)} on", f"{found.new} to review"]
    gone = f" No longer there: {', '.join(found.gone)}." if found.gone else ""
    return f"{name} has {len(found.tools)} tools: {', '.join(counts)}.{gone}"


def _decided(found: mcp.McpShown, form: Form) -> mcp.McpReview:
    """What is another now than it was. Raises errors.Conflict for a tool that is not what the page showed."""
    known = {tool.digest: tool for tool in found.tools}
    given = {name.removeprefix(FIELD): word for name, word in form.items() if name.startswith(FIELD) and word}
    if form.get("do") == "reads":
        given = {digest: "read" for digest, tool in known.items() if _offered(tool) and FIELD + digest in form}
    if given.keys() - known.keys():
        raise errors.Conflict("A tool has changed since you were shown it: look again. Nothing was turned on.")
    changed = {digest: word for digest, word in given.items() if word != _standing(known[digest])}
    on = [{"tool": known[one].tool, "effect": word, "digest": one} for one, word in changed.items() if word != "off"]
    return filled.body(mcp.McpReview, on=on, off=[known[one].tool for one, word in changed.items() if word == "off"])


def _offered(tool: mcp.McpTool) -> bool:
    """Whether it may be turned on as one that calls itself harmless."""
    return tool.state == "new" and not tool.problem and "readOnlyHint" in tool.hints


async def _off(look: screen.Look, name: str, _: Form) -> str:
    await mcp.switch(look.caller, name, connecting.Switch(off=True))
    return f"{name} is off: no run may call its tools from now on."


async def _on(look: screen.Look, name: str, _: Form) -> str:
    await mcp.switch(look.caller, name, connecting.Switch(off=False))
    return f"{name} is on again."


async def _grant(look: screen.Look, name: str, _: Form) -> str:
    await mcp.grant(look.caller, name, look.path["agent"])
    return f"{look.path['agent']} may use the tools of {name} that are on."


async def _revoke(look: screen.Look, name: str, _: Form) -> str:
    return (await mcp.revoke(look.caller, name, look.path["agent"])).said


async def _remove(look: screen.Look, name: str, form: Form) -> str:
    if form.get("typed", "").strip() != name:
        raise errors.BadInput("The name does not match. Nothing was removed.", hint=f"Type {name} to remove it.")
    return (await mcp.remove(look.caller, name)).said


async def _secret(look: screen.Look, name: str, form: Form) -> str:
    """Seals a secret that the server needs, if a value came, and lets the agent use it."""
    look.caller.must_keep()
    found, agent, secret = await mcp.show(look.caller, name), look.path["agent"], form.get("secret", "")
    if secret not in found.secrets:
        raise errors.NotFound(f"{name} needs no such secret.")
    if not found.secrets[secret]:
        await secrets.put(look.caller, secret, filled.body(secrets.SecretValue, value=form.get("value", "")))
    if agent not in found.agents:
        return f"{secret} is sealed."
    await secrets.grant(look.caller, secret, agent)
    return f"{agent} may use {name} with the secret {secret}."


ACTS: Mapping[str, Act] = {
    "review": _review,
    "off": _off,
    "on": _on,
    "grant": _grant,
    "revoke": _revoke,
    "remove": _remove,
    "secret": _secret,
}
PLACE = "/agents/{agent}/mcp"
SCREENS = (
    screen.Screen("GET", PLACE, show),
    screen.Screen("GET", "/agents/{agent}/mcp-add", new),
    screen.Screen("POST", "/agents/{agent}/mcp-add", add),
    screen.Screen("GET", PLACE + "/{server}", one),
    screen.Screen("POST", PLACE + "/{server}/{act}", act),
)
