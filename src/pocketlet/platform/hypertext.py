"""Turns the HTML of an untrusted mail into plain text; nothing is fetched and no markup survives."""

import html.parser
import re

#: Elements whose content is not for reading.
_HIDDEN = frozenset(("script", "style", "title"))
_BLOCK = re.compile(
    "address|article|aside|blockquote|br|dd|div|dl|dt|fieldset|figure|footer|form|h[1-6]|header|hr|li|main|nav|ol"
    "|p|pre|section|table|tr|ul"
)
_CELLS = frozenset(("td", "th"))
_LINKS = ("http://", "https://", "mailto:", "tel:")
# Stops at the next "<", so that a row of them takes linear time.
_TAG = re.compile(r"<[^<>]*>")


def to_text(markup: str) -> str:
    """The readable text: a line a block, links' targets in parentheses, images' descriptions in brackets.

    Raises what `html.parser` raises on malformed markup (AssertionError among others).
    """
    reader = _Reader()
    # No close(): it searches on from every "<" of an unclosed construct, which takes quadratic time.
    reader.feed(markup)
    return _tidy(reader.text())


def strip_tags(markup: str) -> str:
    """The text between tags, for markup that `to_text` can't read."""
    return _tidy(html.unescape(_TAG.sub(" ", markup)))


class _Reader(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._hidden = ""
        self._link = ""
        self._link_start = 0

    def text(self) -> str:
        """What was read, and the end that the parser still holds back as incomplete."""
        rest = "" if self._hidden else html.unescape(_TAG.sub(" ", self.rawdata))
        return "".join(self._pieces) + rest

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _HIDDEN:
            self._hidden = tag
        elif _BLOCK.fullmatch(tag):
            self._pieces.append("\n- " if tag == "li" else "\n")
        elif tag in _CELLS:
            self._pieces.append(" ")
        elif tag == "img" and given.get("alt"):
            self._pieces.append(f"[{given['alt']}]")
        elif tag == "a":
            self._link = (given.get("href") or "").strip()
            self._link_start = len(self._pieces)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        elif _BLOCK.fullmatch(tag):
            self._pieces.append("\n")
        elif tag == "a" and self._link:
            self._end_link()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            # A line end in the source is a blank on the page.
            self._pieces.append(data.replace("\n", " "))

    def _end_link(self) -> None:
        shown = "".join(self._pieces[self._link_start :]).strip()
        if self._link.lower().startswith(_LINKS) and self._link not in (shown, f"mailto:{shown}"):
            self._pieces.append(f" ({self._link})")
        self._link = ""


def _tidy(text: str) -> str:
    """Single blanks, and at most one empty line between others."""
    lines: list[str] = []
    for line in text.split("\n"):
        words = " ".join(line.split())
        if words or (lines and lines[-1]):
            lines.append(words)
    return "\n".join(lines).strip("\n")
