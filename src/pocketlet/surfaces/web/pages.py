"""Pages for people: templates that escape all they are given, and draw what would not show."""

import functools
from dataclasses import dataclass
from pathlib import Path

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from pocketlet.platform import compose

TEMPLATES = Path(__file__).parent / "templates"


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        finalize=_drawn,
    )


def _drawn(value: object) -> object:
    """What is put into a page, with unseen characters and those that reorder others as codes."""
    return compose.visible(value) if type(value) is str else value


@dataclass(frozen=True, slots=True)
class Page:
    """A template with its title. Only the page's own styles apply, and it loads nothing."""

    template: str
    title: str
    status: int = 200

    def of(self, request: Request, **values: object) -> HTMLResponse:
        """The page with these values."""
        known = {"title": self.title, "nonce": request.scope["state"]["nonce"], **values}
        return HTMLResponse(_environment().get_template(self.template).render(known), status_code=self.status)


def said(request: Request, title: str, text: str, hint: str = "", *, status: int = 200) -> HTMLResponse:
    """A page of one sentence, and what to do next."""
    return Page("said.html", title, status).of(request, said=text, hint=hint)
