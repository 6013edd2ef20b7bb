"""Which pages there are: every link is followed from the first page on, until each screen has an example."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import parser
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2
from starlette import routing

from pocketlet.surfaces.web import screens

#: GET screens, by what the route table says.
PATTERNS = tuple(one.path for one in screens.SCREENS if one.method == "GET")
EXAMPLES = 2  # of each screen


def _specific(pattern: str) -> tuple[int, int]:
    """As routes are tried: those with fewer open places first."""
    return pattern.count("{"), -len(pattern)


_PATHS = [(one, routing.compile_path(one)[0]) for one in sorted(PATTERNS, key=_specific)]


class Links(parser.HTMLParser):
    """The addresses in a page: `links` that people follow, `forms` that ask for a page, filled in as they stand (and
    with the example that an empty field shows), and `parts` that scripts load.
    """

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[str] = []
        self.parts: list[str] = []
        self._form: str | None = None
        self._fields: list[tuple[str, str]] = []
        self._ticks: list[tuple[str, str]] = []
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "form":
            self._form = found.get("action", "") if found.get("method", "get").lower() == "get" else None
            self._fields, self._ticks = [], []
        if self._form is not None:
            self._field(tag, found)
        self.parts += [found[name] for name in ("hx-get", "hx-sse:connect") if name in found]

    def _field(self, tag: str, found: dict[str, str]) -> None:
        name, kind = found.get("name", ""), found.get("type", "text")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in found or self._select not in dict(self._fields):
                self._fields = [one for one in self._fields if one[0] != self._select]
                self._fields.append((self._select, found.get("value", "")))
        elif tag == "input" and kind == "checkbox":
            self._ticks.append((name, found.get("value", "on")))
        elif tag == "input" and name and (kind != "radio" or "checked" in found):
            example = found.get("placeholder", "") if "required" in found else ""
            self._fields.append((name, found.get("value") or example))

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        if tag == "form" and self._form is not None:
            first = [one for one in self._ticks if one[0] == self._ticks[0][0]][:2]
            alike = first if len(first) == 2 else []  # of a list to choose from, two
            self.forms.append(f"{self._form}?{urlencode([*self._fields, *alike])}")
            self._form = None


@dataclass
class Places:
    """`pages`: examples by screen; `parts`: what is loaded into others; `broken`: links that lead to nothing;
    `missing`: screens that no link leads to.
    """

    pages: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    parts: set[str] = field(default_factory=set[str])
    broken: list[str] = field(default_factory=list[str])
    missing: set[str] = field(default_factory=set[str])


def pattern_of(address: str) -> str | None:
    """The screen that answers."""
    path = urlsplit(address).path
    return next((pattern for pattern, regex in _PATHS if regex.match(path)), None)


async def found(base: str, also: Sequence[str] = ()) -> Places:
    """All that can be reached by links from the first page, and from those of `also`."""
    places = Places()
    async with httpx2.AsyncClient(base_url=base, timeout=30) as browser:
        waiting, seen = [(one, "(start)") for one in ("/", *also)], {"/", *also}
        while waiting:
            address, whence = waiting.pop(0)
            text = await _read(browser, address, whence, places)
            links = Links()
            links.feed(text)
            places.parts |= {one for part in links.parts if (one := pattern_of(part))}
            for link in [*links.links, *links.forms]:
                target = urljoin(address, link).partition("#")[0]
                if target.startswith("/") and target not in seen and _wanted(target, places):
                    seen.add(target)
                    waiting.append((target, address))
    places.missing = set(PATTERNS) - places.pages.keys() - places.parts
    return places


def _wanted(target: str, places: Places) -> bool:
    pattern = pattern_of(target)
    if pattern is None:
        return not re.match(r"/(static|v1|login|logout|hooks|health)\b", target)
    examples = places.pages.setdefault(pattern, [])
    if len(examples) >= EXAMPLES:
        return False
    examples.append(target)
    return True


async def _read(browser: httpx2.AsyncClient, address: str, whence: str, places: Places) -> str:
    """The page; nothing if it is none, and then it is no example either."""
    async with browser.stream("GET", address) as answer:
        kind = answer.headers.get("content-type", "").partition(";")[0]
        text = (await answer.aread()).decode("utf-8", "replace") if kind != "text/event-stream" else ""
    pattern = pattern_of(address)
    if answer.status_code >= 400:
        places.broken.append(f"{address} ({answer.status_code}), from {whence}")
    if answer.status_code >= 300 or not text.lstrip().lower().startswith("<!doctype html"):
        if pattern is not None:
            places.pages[pattern] = [one for one in places.pages.get(pattern, []) if one != address]
            places.parts.add(pattern)
        return ""
    if pattern is not None and address not in places.pages.setdefault(pattern, []):
        places.pages[pattern].append(address)
    return text
