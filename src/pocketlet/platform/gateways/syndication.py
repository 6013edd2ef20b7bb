"""Feeds (RSS, RDF, Atom) as entries of plain text. What is read is what was handed over: nothing is fetched or opened.

`feedparser` takes what real feeds get wrong. It opens URLs and files, too, if it is given a text or bytes, and so it is
given a stream only. Sources: RSS 2.0 (rssboard.org/rss-specification), Atom (RFC 4287).
"""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketlet import errors
from pocketlet.platform import hypertext

MOST = 2000  # entries
LONGEST = 20_000  # characters of a summary
LONGEST_LINE = 1000
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """`id`: what the feed calls it, else its link, else empty. `published`: UTC, as 2026-11-22T09:00:00Z, or empty."""

    id: str
    title: str
    link: str
    summary: str
    published: str


def read(raw: bytes, headers: Mapping[str, str], url: str) -> list[Entry]:
    """The entries in the feed's order. `headers`: of the reply, in lower case; `url`: what links are relative to.

    Takes about 5 seconds a megabyte at worst: call it in a thread. Raises errors.BadInput.
    """
    import feedparser  # its import alone takes as long as a command

    known = {"content-location": url} | ({"content-type": kind} if (kind := headers.get("content-type")) else {})
    library: Any = feedparser
    stream = io.BytesIO(raw)
    try:
        parsed: Any = library.parse(stream, response_headers=known, sanitize_html=False, resolve_relative_uris=False)
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise errors.BadInput(f"What came can't be read as a feed ({type(error).__name__}).") from None
    found = _fields(parsed)
    entries: list[Any] = found["entries"]
    if not found.get("version") and not entries:
        raise errors.BadInput("What came is no feed.", hint="The address must be that of the feed, not of the page.")
    if len(entries) > MOST:
        raise errors.BadInput(f"The feed has {len(entries)} entries; {MOST} are read at most.")
    return [_entry(_fields(entry)) for entry in entries]


def _fields(parsed: Any) -> dict[str, Any]:
    """As a plain dict: feedparser's own answers for one field with another, and warns of it."""
    return dict(parsed or {})


def _entry(entry: Mapping[str, Any]) -> Entry:
    link, when = _line(entry.get("link")), entry.get("published_parsed") or entry.get("updated_parsed")
    return Entry(
        id=_line(entry.get("id")) or link,
        title=_line(_plain(entry.get("title"), _fields(entry.get("title_detail")))),
        link=link,
        summary=_summary(entry),
        published="{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*when[:6]) if when else "",
    )


def _summary(entry: Mapping[str, Any]) -> str:
    detail = _fields(entry.get("summary_detail") or next(iter(entry.get("content") or ()), None))
    return _plain(entry.get("summary") or detail.get("value"), detail)[:LONGEST]


def _plain(text: Any, detail: Mapping[str, Any]) -> str:
    """Text without markup and control characters, if it is there at all."""
    if not isinstance(text, str):
        return ""
    text = text[: 4 * LONGEST]
    if "html" in str(detail.get("type")):
        try:
            text = hypertext.to_text(text)
        except (AssertionError, LookupError, ValueError):
            text = hypertext.strip_tags(text)
    return _UNFIT.sub("", text).strip()


def _line(text: Any) -> str:
    return " ".join(_UNFIT.sub("", text).split())[:LONGEST_LINE] if isinstance(text, str) else ""
