"""The past runs that changes are tried on, and what each must show."""

from starlette.responses import Response

from pocketlet.surfaces.api import cases
from pocketlet.surfaces.web.screens import filled, screen


async def show(look: screen.Look) -> Response:
    """All cases of an agent, the newest first. Raises errors.NotFound."""
    agent = str(look.path["agent"])
    listed = await cases.listing(look.caller, agent, cursor=look.asked("cursor"))
    more = f"/agents/{agent}/cases?cursor={listed.next}" if listed.next else ""
    view = screen.View("cases.html", "Cases", "playbook", agent)
    return await screen.page(look, view, items=listed.items, more=more)


async def pin(look: screen.Look) -> Response:
    """Pins a case, or takes that back. Raises errors.NotFound."""
    agent, case = str(look.path["agent"]), filled.number(look.path["case"])
    form = await look.form()
    done = await cases.pin(look.caller, agent, case, cases.CasePin(pinned=form.get("pinned") == "yes"))
    return screen.to(f"/agents/{agent}/cases#case-{case}", done.said)


SCREENS = (
    screen.Screen("GET", "/agents/{agent}/cases", show),
    screen.Screen("POST", "/agents/{agent}/cases/{case}/pin", pin),
)
