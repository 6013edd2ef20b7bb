"""The way out: where a link of somebody's text leads, word for word, before anything is asked for there."""

from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.web import prose
from pocketlet.surfaces.web.screens import screen


async def show(look: screen.Look) -> Response:
    """Host, path and each part of the query; nothing of it was loaded. Raises errors.BadInput."""
    to = look.asked("to")
    if not prose.leads(to):
        raise errors.BadInput(
            "This link leads nowhere that can be opened.", hint="Only https and mail addresses can be opened from here."
        )
    parts = urlsplit(to)
    facts = [("Writes to" if parts.scheme == "mailto" else "Host", prose.place(to))]
    if parts.scheme != "mailto" and parts.path not in ("", "/"):
        facts.append(("Path", unquote(parts.path)))
    sent = parse_qsl(parts.query, keep_blank_values=True)
    if parts.fragment:
        facts.append(("Place in the page", unquote(parts.fragment)))
    view = screen.View("leave.html", f"Leave for {prose.place(to)}?")
    return await screen.page(look, view, to=to, facts=facts, sent=sent, mail=parts.scheme == "mailto")


SCREENS = (screen.Screen("GET", "/leave", show),)
