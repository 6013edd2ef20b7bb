"""Text of a model or of somebody outside as HTML: what it may do is to have paragraphs, lists, tables and links.

Three layers, each enough alone: a parser that knows no HTML, an allow-list, and a box in which scripts of ours see
nothing to act on. Nothing parses what the allow-list let through. Images are never loaded: they show as links.
"""

import functools
import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import markdown_it
import markupsafe
import nh3
import pygments
from markdown_it import renderer, token
from markdown_it.rules_core import state_core
from pygments import formatters, lexer, lexers

from pocketlet.platform import compose

LONGEST = 8_000  # characters that are parsed; more is shown as it is
LONGEST_SQL = 20_000
#: Absolute, with a host's plain name: no user, no password, nothing that two programs read in two ways.
_HTTPS = re.compile(r"https://[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:\d{1,5})?([/?#][!-\[\]-~]*)?", re.IGNORECASE)
_MAILTO = re.compile(r"mailto:[\w.%+-]{1,64}@[a-z0-9][a-z0-9.-]{0,250}(\?[!-\[\]-~]*)?", re.IGNORECASE | re.ASCII)
_TEXT = {"p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"}
TAGS = _TEXT | {"table", "thead", "tbody", "tr", "th", "td"}


def leads(url: str) -> bool:
    """Whether a link in somebody's text may lead there: https with a host, or mailto; nothing else."""
    return len(url) <= 2000 and bool(_HTTPS.fullmatch(url) or _MAILTO.fullmatch(url))


def place(address: str) -> str:
    """The host of an address, or whom it writes to."""
    if address[:7].lower() == "mailto:":
        return address[7:].partition("?")[0]
    return urlsplit(address).netloc.lower()


def prose(text: str) -> markupsafe.Markup:
    """Markdown as HTML that is safe to show. Links say where they lead, and open through a page that asks."""
    if len(text) > LONGEST:
        return markupsafe.Markup('<pre class="text" hx-ignore>{}</pre>').format(compose.visible(text))
    made = _parser().render(text.replace("\r\n", "\n"))
    return markupsafe.Markup(f'<div class="prose" hx-ignore>{cleaned(made)}</div>')  # noqa: S704 - by the list


def cleaned(html: str) -> str:
    """What the allow-list leaves of HTML, with unseen characters drawn; nothing may parse it afterwards."""
    kept = {"a": {"href"}, "ol": {"start"}}
    return compose.visible(nh3.clean(html, tags=TAGS, attributes=kept, attribute_filter=_through))


def sql(text: str) -> markupsafe.Markup:
    """SQL with its words marked by classes."""
    if len(text) > LONGEST_SQL:
        return markupsafe.Markup('<code class="sql">{}</code>').format(compose.visible(text))
    made = pygments.highlight(compose.visible(text), *_sql())
    return markupsafe.Markup(f'<code class="sql">{made.rstrip()}</code>')  # noqa: S704 - the formatter escapes


@functools.cache
def _sql() -> tuple[lexer.Lexer, formatters.HtmlFormatter[str]]:
    words = lexers.get_lexer_by_name("postgresql")  # pyright: ignore[reportUnknownMemberType]
    return words, formatters.HtmlFormatter(nowrap=True)


def _through(tag: str, name: str, value: str) -> str | None:
    """What is left of an attribute: a link leads to the page that shows where it goes."""
    if (tag, name) == ("a", "href"):
        return f"/leave?to={quote(value, safe='')}" if leads(value) else None
    return value if value.isdecimal() and len(value) < 7 else None


@functools.cache
def _parser() -> markdown_it.MarkdownIt:
    made = markdown_it.MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 12})
    made.enable(["table", "strikethrough"]).disable(["image", "html_block", "html_inline"])
    made.validateLink = leads
    made.core.ruler.push("say_places", _say_places)
    made.add_render_rule("heading_open", _heading)
    made.add_render_rule("heading_close", _heading)
    return made


def _heading(_: renderer.RendererProtocol, tokens: Sequence[token.Token], at: int, options: object, env: object) -> str:
    """Somebody's headings are none of the page's."""
    return "<p><strong>" if tokens[at].nesting == 1 else "</strong></p>\n"


def _say_places(state: state_core.StateCore) -> None:
    """Behind the words of each link, where it leads; unless that is what they say."""
    for block in state.tokens:
        if block.children:
            block.children = _with_places(block.children)


def _with_places(children: list[token.Token]) -> list[token.Token]:
    told: list[token.Token] = []
    opened, words = "", ""
    for one in children:
        told.append(one)
        if one.type == "link_open":
            opened, words = str(one.attrs.get("href", "")), ""
        elif one.type == "link_close":
            where = place(opened)
            if words not in (opened, where):
                told.append(token.Token("text", "", 0, content=f" ({where})"))
        else:
            words += one.content
    return told
