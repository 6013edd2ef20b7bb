"""The list of runs, of one agent or of all, and two runs beside each other."""

from urllib.parse import urlencode

import pydantic
from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import runs
from pocketlet.surfaces.web.screens import filled, screen

ALL = "/runs"
#: Ways to look at the list that everybody wants.
VIEWS: tuple[tuple[str, dict[str, str]], ...] = (
    ("All", {}),
    ("Unread", {"unread": "true"}),
    ("Waiting for you", {"state": "waiting"}),
    ("Something went wrong", {"errored": "true"}),
    ("Learning", {"kind": "manager"}),
)


async def everyone(look: screen.Look) -> Response:
    """Runs of all the owner's agents."""
    return await _listed(look, "")


async def of_agent(look: screen.Look) -> Response:
    """Runs of one agent."""
    return await _listed(look, str(look.path["agent"]))


async def _listed(look: screen.Look, agent: str) -> Response:
    asked = _asked(dict(look.request.query_params) | ({"agent": agent} if agent else {}))
    found = await runs.listing(look.caller, asked=asked)
    choices = await runs.choices(look.caller)
    now = _query(asked)
    view = screen.View("runs.html", "Runs" if agent else "All runs", "runs" if agent else "", agent)
    return await screen.page(
        look,
        view,
        of=agent,
        asked=asked,
        filtered=bool(now.keys() - {"agent"}),
        kept=now,
        runs=found.items,
        older=_address(now | {"cursor": found.next}, agent) if found.next else "",
        views=[(word, _address(query, agent), query == _without(now, "agent")) for word, query in VIEWS],
        choices=choices,
        saved=[(one.name, _address(_query(one.query), one.query.agent)) for one in choices.saved],
        clear=_address({}, agent),
    )


def _asked(given: dict[str, str]) -> runs.Asked:
    """What the form or a link asks for; empty fields ask for nothing. Raises errors.BadInput."""
    known = {
        name: text.strip() for name, text in given.items() if name in runs.Asked.model_fields and text.strip(" \x00")
    }
    try:
        return runs.Asked.model_validate(known)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = str(first["loc"][0]).replace("_", " ")
        raise errors.BadInput(f"This can't be asked for ({place}).", hint="Choose from the form.") from error


def _query(asked: runs.Filter) -> dict[str, str]:
    """Without what says nothing, and without the part of the list."""
    return {name: "true" if value is True else str(value) for name, value in asked.said().items()}


def _without(query: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in query.items() if key != name}


def _address(query: dict[str, str], agent: str) -> str:
    """The list of an agent, or of all, with what is asked for."""
    rest = urlencode(_without(query, "agent") if agent else query)
    return (f"/agents/{agent}/runs" if agent else ALL) + (f"?{rest}" if rest else "")


async def compare(look: screen.Look) -> Response:
    """Two runs that were ticked in the list, the older one first."""
    numbers = sorted({filled.number(text) for text in look.request.query_params.getlist("run")})
    if len(numbers) != 2:
        raise errors.BadInput("Two runs can be compared.", hint="Go back to the list, and tick two of them.")
    found = await runs.compare(look.caller, a=numbers[0], b=numbers[1])
    view = screen.View("compare.html", f"Run {numbers[0]} beside run {numbers[1]}", "runs", found.b.agent)
    return await screen.page(look, view, found=found, lines=[(line.mark, line.text) for line in found.diff])


async def save(look: screen.Look) -> Response:
    """Keeps the filter that is in force."""
    form = await look.form()
    asked = _asked(form)
    query = runs.Filter.model_validate(asked.model_dump(exclude={"limit", "cursor"}))
    try:
        kept = await runs.save(look.caller, runs.SavedFilter(name=form.get("name", "").strip(), query=query))
    except pydantic.ValidationError as error:
        hint = "Give it a name of 1 to 60 characters, without / and \\."
        raise errors.BadInput("A filter needs another name.", hint=hint) from error
    return screen.to(_address(_query(query), query.agent), f"The filter “{kept.name}” is kept.")


async def remove(look: screen.Look) -> Response:
    """Forgets a filter."""
    form = await look.form()
    done = await runs.remove(look.caller, form.get("name", ""))
    return screen.to(_back(form), done.said)


async def read(look: screen.Look) -> Response:
    """Everything that has ended is read."""
    form = await look.form()
    done = await runs.mark_all_seen(look.caller, agent=form.get("agent", ""))
    return screen.to(_back(form), done.said)


def _back(form: dict[str, str]) -> str:
    """The list that the form stood on."""
    return _address({}, form.get("agent", "")) if form.get("agent", "").isidentifier() else ALL


SCREENS = (
    screen.Screen("GET", ALL, everyone),
    screen.Screen("GET", "/agents/{agent}/runs", of_agent),
    screen.Screen("GET", "/runs/compare", compare),
    screen.Screen("POST", "/runs/filters", save),
    screen.Screen("POST", "/runs/filters/remove", remove),
    screen.Screen("POST", "/runs/read", read),
)
