"""Forms as a browser without scripts sees them: what would be sent if a button is pressed."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx2


@dataclass
class Form:
    """One form of a page, with the fields that it has, as they are filled."""

    action: str
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict[str, str])
    words: str = ""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._text = self._select = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = True
            self.forms.append(Form(given["action"], given.get("method", "get")))
        if not self._inside:
            return
        chosen = given.get("type") not in ("radio", "checkbox") or "checked" in given
        if tag == "input" and chosen and "name" in given:
            self.forms[-1].fields[given["name"]] = given.get("value", "")
        if tag in ("textarea", "select"):
            self._text = given["name"] if tag == "textarea" else ""
            self._select = given["name"] if tag == "select" else ""
            self.forms[-1].fields[given["name"]] = ""
        if tag == "option" and "selected" in given:
            self.forms[-1].fields[self._select] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text = ""
        if tag == "form":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and self._text:
            self.forms[-1].fields[self._text] += data
        elif self._inside:
            self.forms[-1].words += data


def of(page: httpx2.Response) -> list[Form]:
    """All forms of a page, in their order."""
    reader = _Reader()
    reader.feed(page.text)
    return reader.forms


def with_words(page: httpx2.Response, words: str) -> Form:
    """The form whose button or labels say this."""
    return next(form for form in of(page) if words in form.words)


async def send(browser: httpx2.AsyncClient, form: Form, **filled: str) -> httpx2.Response:
    """What comes of pressing the button, redirects not followed."""
    return await browser.post(form.action, data={**form.fields, **filled})
