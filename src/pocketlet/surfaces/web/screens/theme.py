"""Light, dark, or as the system has it: what the pages look like in one browser, which keeps it itself."""

import re

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.web import pages
from pocketlet.surfaces.web.screens import screen

KEPT = 400 * 24 * 3600  # seconds; no browser keeps a cookie for longer
OURS = re.compile(r"/(?![/\\])[!-~]*")  # an address on this host


async def choose(look: screen.Look) -> Response:
    """Keeps the choice, and goes back to the page that it was made on. Raises errors.BadInput."""
    form = await look.form()
    wanted, back = form.get("theme", ""), form.get("back", "")
    if wanted not in ("system", *pages.THEMES):
        raise errors.BadInput("There are no such colours.", hint="Choose system, light or dark at the foot of a page.")
    answer = screen.to(back if OURS.fullmatch(back) else "/")
    if wanted == "system":
        answer.delete_cookie(pages.THEME, path="/", httponly=True, samesite="lax")
    else:
        # lax: a link in a mail leads to a page that looks like the others
        answer.set_cookie(pages.THEME, wanted, max_age=KEPT, path="/", httponly=True, samesite="lax")
    return answer


SCREENS = (screen.Screen("POST", "/theme", choose),)
