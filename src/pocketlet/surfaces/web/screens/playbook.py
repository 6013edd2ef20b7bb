"""The playbook: what counts and where each line comes from, every revision, and going back to any of them."""

import re
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import changes, playbook
from pocketlet.surfaces.web.screens import filled, once, screen

#: Pages that a change card stands on, and that its forms may lead back to.
BACK = re.compile(r"/(feedback|runs)/\d{1,18}|/agents/[a-z][a-z0-9_]{0,40}/(chat|playbook(/\d{1,9})?)")
SHOWN = 12  # revisions beside the current one


def revision(text: str) -> int:
    """The number of a revision, as an address has it. Raises errors.NotFound."""
    return filled.number(text, filled.REVISIONS)


async def current(look: screen.Look) -> Response:
    """What counts now, with the origin of each line, and the newest revisions. Raises errors.NotFound."""
    agent = str(look.path["agent"])
    found = await playbook.current(look.caller, agent)
    blame = await playbook.origins(look.caller, agent)
    listed = await playbook.listing(look.caller, agent, limit=SHOWN, cursor=look.asked("cursor"))
    more = f"/agents/{agent}/playbook?cursor={listed.next}" if listed.next else ""
    written = {line.first: line for line in blame.items if line.file == "INSTRUCTIONS.md"}
    costs = {line.file: line for line in blame.items if line.first == 1}
    lines = [(text, written.get(at)) for at, text in enumerate(found.instructions.splitlines(), 1)]
    view = screen.View("playbook.html", "Playbook", "playbook", agent)
    return await screen.page(look, view, found=found, lines=lines, origin=costs, revisions=listed.items, more=more)


async def show(look: screen.Look) -> Response:
    """One revision: what it changed, what its replays showed, and all that it says. Raises errors.NotFound."""
    agent, n = str(look.path["agent"]), revision(look.path["revision"])
    found = await playbook.show(look.caller, agent, n)
    change = await changes.change(look.caller, agent, n)
    view = screen.View("playbook_revision.html", f"Revision {n}", "playbook", agent)
    back = f"/agents/{agent}/playbook/{n}"
    return await screen.page(look, view, found=found, change=change, back=back)


async def compare(look: screen.Look) -> Response:
    """What differs between two revisions. Raises errors.NotFound."""
    agent = str(look.path["agent"])
    old, new = (revision(look.asked(name)) if look.asked(name) else 0 for name in ("old", "new"))
    found = await changes.diff(look.caller, agent, old=old, new=new)
    listed = await playbook.listing(look.caller, agent, limit=200)
    title = f"From revision {found.old} to {found.new}"
    view = screen.View("playbook_diff.html", title, "playbook", agent)
    return await screen.page(look, view, found=found, revisions=listed.items)


async def write(look: screen.Look) -> Response:
    """The instructions, to be edited by hand. Raises errors.NotFound."""
    agent = str(look.path["agent"])
    found = await playbook.current(look.caller, agent)
    return await _editor(look, found, found.instructions)


async def _editor(
    look: screen.Look, found: playbook.Playbook, text: str, wrong: str = "", reason: str = ""
) -> Response:
    status = 409 if wrong else 200
    view = screen.View("playbook_edit.html", "Edit the instructions", "playbook", found.agent, status)
    return await screen.page(look, view, found=found, text=text, wrong=wrong, reason=reason)


async def keep(look: screen.Look) -> Response:
    """Takes the instructions in as a revision that counts. Raises errors.NotFound."""
    agent = str(look.path["agent"])
    form = await look.form()
    text, reason = form.get("instructions", ""), form.get("reason", "")[:500]
    n = revision(form.get("revision", ""))

    async def put() -> once.Came:
        body = filled.body(changes.InstructionsEdit, revision=n, instructions=text, reason=reason)
        done = await changes.edit(look.caller, agent, body)
        return once.Came(f"/agents/{agent}/playbook/{done.revision}", done.said)

    try:
        return await once.act(look, form, put)
    except (errors.BadInput, errors.Conflict) as error:
        found = await playbook.current(look.caller, agent)
        return await _editor(look, found, text, filled.amiss(error), reason)


async def adopt(look: screen.Look) -> Response:
    """The owner's yes to a draft. Raises errors.NotFound, errors.Conflict."""
    return await _decided(look, lambda agent, n, form: changes.adopt(look.caller, agent, n, _why(form)))


async def discard(look: screen.Look) -> Response:
    """The owner's no to a draft. Raises errors.NotFound, errors.Conflict."""
    return await _decided(look, lambda agent, n, form: changes.discard(look.caller, agent, n, _why(form)))


async def roll_back(look: screen.Look) -> Response:
    """An earlier revision counts again. Raises errors.NotFound, errors.Conflict."""

    def decide(agent: str, n: int, form: dict[str, str]) -> Awaitable[changes.Decided]:
        instead = revision(form["instead_of"]) if form.get("instead_of") else None
        wanted = changes.Back(revision=n, instead_of=instead, because=_why(form).because)
        return changes.roll_back(look.caller, agent, wanted)

    return await _decided(look, decide)


async def _decided(
    look: screen.Look, decide: Callable[[str, int, dict[str, str]], Awaitable[changes.Decided]]
) -> Response:
    agent, n, form = str(look.path["agent"]), revision(look.path["revision"]), await look.form()

    async def work() -> once.Came:
        return once.Came(back(form, agent, n), (await decide(agent, n, form)).said)

    return await once.act(look, form, work)


def _why(form: dict[str, str]) -> changes.RevisionWhy:
    return changes.RevisionWhy(because=form.get("because", "").strip()[:1_000])


def back(form: dict[str, str], agent: str, n: int) -> str:
    """The page that the form stood on, if it is one of ours."""
    asked = form.get("back", "")
    return asked if BACK.fullmatch(asked) else f"/agents/{agent}/playbook/{n}"


SCREENS = (
    screen.Screen("GET", "/agents/{agent}/playbook", current),
    screen.Screen("GET", "/agents/{agent}/playbook/compare", compare),
    screen.Screen("GET", "/agents/{agent}/playbook/edit", write),
    screen.Screen("POST", "/agents/{agent}/playbook/edit", keep),
    screen.Screen("GET", "/agents/{agent}/playbook/{revision}", show),
    screen.Screen("POST", "/agents/{agent}/playbook/{revision}/adopt", adopt),
    screen.Screen("POST", "/agents/{agent}/playbook/{revision}/discard", discard),
    screen.Screen("POST", "/agents/{agent}/playbook/{revision}/rollback", roll_back),
)
