"""Pages for people: templates that escape all they are given, and draw what would not show."""

import functools
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import cast
from urllib.parse import quote

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pocketlet.platform import compose
from pocketlet.surfaces.web import assets, prose

TEMPLATES = Path(__file__).parent / "templates"
THEME = "pocketlet-theme"  # a cookie: the colours that this browser was told to show
THEMES = ("light", "dark")


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        finalize=_drawn,
    )
    known = cast(dict[str, object], made.globals)
    known["asset"] = assets.url
    made.filters |= {"instant": instant, "day": day, "money": money, "total": total, "seconds": seconds}
    made.filters |= {"prose": prose.prose, "sql": prose.sql}
    known["parts"] = made.get_template("parts.html").module
    return made


def instant(time: datetime) -> str:
    """RFC 3339, in UTC."""
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def day(time: datetime) -> str:
    """As people read it, in UTC."""
    return f"{time.astimezone(UTC):%a %d %b %Y, %H:%M} UTC"


def money(value: Decimal | float) -> str:
    """USD to a hundredth of a cent, as in runs."""
    return f"${value:.4f}"


def total(value: Decimal | float) -> str:
    """USD to a cent, as in totals."""
    return f"${value:.2f}"


def seconds(value: float) -> str:
    """A duration: 40 ms, 4.5 s, 3 min 20 s."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 100 else f"{value // 60:.0f} min {value % 60:.0f} s"


def _drawn(value: object) -> object:
    """What is put into a page, with unseen characters and those that reorder others as codes."""
    return compose.visible(value) if type(value) is str else value


def theme(request: Request) -> str:
    """light or dark; empty: as the system of whoever looks has it."""
    chosen = request.cookies.get(THEME, "")
    return chosen if chosen in THEMES else ""


def _address(request: Request, status: int) -> str:
    """Where a form of the frame leads back to: no refusal, nor what came of another form."""
    if request.method != "GET" or status != 200:
        return "/"
    return quote(request.scope["path"]) + ("?" + request.url.query if request.url.query else "")


@dataclass(frozen=True, slots=True)
class Page:
    """A template with its title. It loads nothing but our own files."""

    template: str
    title: str
    status: int = 200

    def of(self, request: Request, **values: object) -> HTMLResponse:
        """The page with these values."""
        known = {"title": self.title, "nonce": request.scope["state"]["nonce"], **values}
        known |= {"theme": theme(request), "this_page": _address(request, self.status)}
        return HTMLResponse(_environment().get_template(self.template).render(known), status_code=self.status)


def said(request: Request, title: str, text: str, hint: str = "", *, status: int = 200) -> HTMLResponse:
    """A page of one sentence, and what to do next."""
    return Page("said.html", title, status).of(request, said=text, hint=hint)
