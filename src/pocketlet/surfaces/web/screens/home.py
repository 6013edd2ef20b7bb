"""Home: what ran, what waits, what failed, what comes next."""

from starlette.responses import Response

from pocketlet.surfaces.api import home, replies
from pocketlet.surfaces.web.screens import filled, once, screen


async def show(look: screen.Look) -> Response:
    """The first page."""
    found = await home.show(look.caller)
    undo = look.asked("dismissed")
    return await screen.page(
        look, screen.View("home.html", "Today", "home"), home=found, dismissed=undo if undo.isdecimal() else ""
    )


async def dismiss(look: screen.Look) -> Response:
    """A notice was seen."""
    number = filled.number(look.path["notice"])
    done = await home.dismiss(look.caller, number)
    return screen.to(f"/?dismissed={number}", done.said)


async def reopen(look: screen.Look) -> Response:
    """It was dismissed by mistake."""
    return screen.to("/", (await home.reopen(look.caller, filled.number(look.path["notice"]))).said)


async def mine(look: screen.Look) -> Response:
    """An answer that may be anybody's is the owner's: it becomes feedback, once."""

    async def act() -> once.Came:
        done = await replies.confirm(look.caller, filled.number(look.path["reply"]))
        return once.Came(f"/feedback/{done.feedback}", "It counts as your word now.")

    return await once.act(look, await look.form(), act)


async def not_mine(look: screen.Look) -> Response:
    """It is somebody else's: nothing comes of it."""
    done = await replies.ignore(look.caller, filled.number(look.path["reply"]))
    return screen.to("/", done.said)


SCREENS = (
    screen.Screen("GET", "/", show),
    screen.Screen("POST", "/notices/{notice}/dismiss", dismiss),
    screen.Screen("POST", "/notices/{notice}/reopen", reopen),
    screen.Screen("POST", "/replies/{reply}/confirm", mine),
    screen.Screen("POST", "/replies/{reply}/ignore", not_mine),
)
