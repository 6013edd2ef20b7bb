"""Channels: how you are told, what became of it, and the forms that add one."""

from collections.abc import Mapping

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import channels, mcp
from pocketlet.surfaces.web.screens import filled, once, screen

Form = Mapping[str, str]
#: The kinds of channels, and what a channel can tell.
WAYS = (("mail", "Mail"), ("telegram", "Telegram"), ("webhook", "Webhook"))
ABOUT = (
    ("problems", "Problems: what failed, was missed or needs a hand; and when it is over"),
    ("approvals", "Questions: who asks for what, to whom"),
    ("results", "Results: what each run left, in its own words"),
)
TOLD = {"about-problems": "yes", "about-approvals": "yes"}
SINGLE = ("name", "address", "sender", "secret", "base_url", "quiet", "zone")


async def show(look: screen.Look) -> Response:
    """All channels, with what each is for and what became of its last message."""
    agent = await _agent(look)
    found = await channels.listing(look.caller)
    view = screen.View("channels.html", "Channels", "connections", agent)
    return await screen.page(look, view, channels=found.items, ways=WAYS)


async def one(look: screen.Look) -> Response:
    """A channel, and what was told on it."""
    agent, name = await _agent(look), look.path["channel"]
    found = await channels.show(look.caller, name)
    told = await channels.messages(look.caller, name, limit=20, cursor=look.asked("cursor"))
    older = f"/agents/{agent}/channels/{name}?cursor={told.next}#told" if told.next else ""
    view = screen.View("channels_one.html", name, "connections", agent)
    return await screen.page(look, view, found=found, messages=told.items, older=older)


async def new(look: screen.Look) -> Response:
    """The form of a new channel."""
    await _agent(look)
    return await _new(look, {"way": look.asked("way"), **TOLD})


async def _new(look: screen.Look, given: Form, wrong: str = "") -> Response:
    way = next((name for name, _ in WAYS if name == given.get("way")), WAYS[0][0])
    view = screen.View("channels_new.html", "A new channel", "connections", look.path["agent"], 422 if wrong else 200)
    return await screen.page(look, view, given=given, way=way, ways=WAYS, about=ABOUT, wrong=wrong)


async def add(look: screen.Look) -> Response:
    """Makes a channel. A value that fails is not filled in again."""
    agent, form = await _agent(look), await look.form()
    shown = {name: value for name, value in form.items() if name != "value"}

    async def make() -> once.Came:
        made = await channels.add(look.caller, _wanted(form))
        return once.Came(f"/agents/{agent}/channels/{made.name}", f"{made.name} is added. Send a test, to see it work.")

    try:
        return await once.act(look, shown, make)
    except (errors.BadInput, errors.BadSetting, errors.Conflict, errors.NotFound) as error:
        return await _new(look, shown, filled.amiss(error))


def _wanted(form: Form) -> channels.ChannelWanted:
    """Raises errors.BadInput."""
    values: dict[str, object] = {name: form.get(name, "") for name in SINGLE}
    for what in ("about", "urgent"):
        values[what] = [name for name, _ in ABOUT if form.get(f"{what}-{name}") == "yes"]
    values["pinned"] = [line for line in form.get("pinned", "").split("\n") if line.strip()]
    return filled.body(channels.ChannelWanted, kind=form.get("way", ""), value=form.get("value") or None, **values)


async def act(look: screen.Look) -> Response:
    """Sends a test, or removes the channel."""
    agent, name, form = await _agent(look), look.path["channel"], await look.form()
    wanted = {"test": _test, "remove": _remove}.get(look.path["act"])
    if wanted is None:
        raise errors.NotFound("There is nothing here.")
    page = f"/agents/{agent}/channels" + ("" if wanted is _remove else f"/{name}")

    async def work() -> once.Came:
        return once.Came(page, await wanted(look, name, form))

    return await once.act(look, form, work)


async def _test(look: screen.Look, name: str, _: Form) -> str:
    tested = await channels.try_out(look.caller, name)
    return tested.said if tested.ok else f"It does not work: {tested.said} {tested.hint}".strip()


async def _remove(look: screen.Look, name: str, form: Form) -> str:
    if form.get("typed", "").strip() != name:
        raise errors.BadInput("The name does not match. Nothing was removed.", hint=f"Type {name} to remove it.")
    return (await channels.remove(look.caller, name)).said


async def _agent(look: screen.Look) -> str:
    """Beside which of the caller's agents the page stands. Raises errors.NotFound, errors.Refused."""
    await mcp.of_agent(look.caller, look.path["agent"])
    look.caller.must_keep()
    return look.path["agent"]


PLACE = "/agents/{agent}/channels"
SCREENS = (
    screen.Screen("GET", PLACE, show),
    screen.Screen("POST", PLACE, add),
    screen.Screen("GET", "/agents/{agent}/channel-add", new),
    screen.Screen("GET", PLACE + "/{channel}", one),
    screen.Screen("POST", PLACE + "/{channel}/{act}", act),
)
