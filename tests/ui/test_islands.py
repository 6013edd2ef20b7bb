"""The vendored scripts under our own policy: they load, look right, and htmx leaves alone what is not ours."""

import browsing
import pytest
from playwright import async_api

from pocketlet.surfaces.web import assets, guard

pytestmark = pytest.mark.ui

NONCE = "bm9uY2U"
MAIN = '<main><h1>x</h1><div id="here"></div></main>'
#: The colours of the pages, as far as an editor needs them.
INK = ":root{--ink:#222;--sheet:#fff;--well:#eee;--line:#ccc;--line-strong:#999;--spruce:#064;--on-spruce:#fff;\
--spruce-wash:#dfe;--ink-3:#666;--amber:#850;--brick:#a00;--brick-wash:#fee;--slate:#448;--mono:monospace}"


async def island(visit, head: str, body: str):
    """A page of this test's, at an address of ours and under the policy of our pages."""
    return await shown(await visit("/login"), head, body)


async def shown(sight: browsing.Sight, head: str, body: str) -> browsing.Sight:
    """The same, in a page that is open."""
    page = f'<!doctype html><html lang="en"><head><title>x</title>{head}</head><body>{body}</body></html>'
    headers = {"content-type": "text/html", "content-security-policy": guard.POLICY.format(nonce=NONCE)}

    async def answer(route: async_api.Route) -> None:
        await route.fulfill(body=page, headers=headers)

    async def style(route: async_api.Route) -> None:
        await route.fulfill(body=INK, headers={"content-type": "text/css"})

    await sight.page.route("**/island", answer)
    await sight.page.route("**/ink.css", style)
    await sight.go("/island")
    return sight


def script(text: str, kind: str = "module") -> str:
    return f'<script nonce="{NONCE}" type="{kind}">{text}</script>'


async def test_the_sql_editor_completes_our_tables(visit) -> None:
    options = '{language: "sql", doc: "", schema: {customers: ["email", "tier"]}, label: "Query", '
    made = f'make(document.getElementById("here"), {options} onchange: text => document.title = text}})'
    code = f'import {{make}} from "{assets.url("vendor/codemirror.js")}"; window.editor = {made}'
    sight = await island(visit, '<link rel="stylesheet" href="/ink.css">', MAIN + script(code))
    field = sight.page.get_by_role("textbox", name="Query")
    await field.click()
    await sight.page.keyboard.type("select * from cust")
    await async_api.expect(sight.page.get_by_role("option", name="customers")).to_be_visible()
    await sight.shot("island-sql-completion")
    await sight.page.get_by_role("option", name="customers").click()
    await async_api.expect(sight.page).to_have_title("select * from customers")
    keyword = sight.page.get_by_text("select", exact=True)
    await async_api.expect(keyword).to_have_css("color", "rgb(0, 102, 68)")
    await sight.shot("island-sql")
    assert not await sight.axe()
    assert await sight.ask("editor.set('select 1'), editor.text()") == "select 1"


async def test_markdown_and_what_changed(visit) -> None:
    texts = '"# Tone\\n\\n- Give a window.\\n", "# Tone\\n\\n- Give the **date**.\\n"'
    code = (
        f'import {{make, merge}} from "{assets.url("vendor/codemirror.js")}";'
        f'make(document.getElementById("text"), {{language: "markdown", doc: "# Tone <b>x</b>\\n\\n- *Short*", '
        f'nonce: "{NONCE}"}});'
        f'merge(document.getElementById("changed"), {texts}, "{NONCE}", "Changes to the playbook")'
    )
    body = f'<main><h1>x</h1><div id="text"></div><div id="changed"></div></main>{script(code)}'
    sight = await island(visit, '<link rel="stylesheet" href="/ink.css">', body)
    await async_api.expect(sight.page.get_by_role("textbox", name="Text")).to_contain_text("<b>x</b>")
    changed = sight.page.get_by_label("Changes to the playbook")
    await async_api.expect(changed).to_contain_text("Give the **date**.")
    await async_api.expect(sight.page.locator(".cm-deletedChunk")).to_contain_text("Give a window.")
    await sight.shot("island-markdown")
    assert not await sight.axe()
    assert await sight.ask("document.querySelectorAll('style').length") == 0


async def test_a_chart_is_drawn(visit) -> None:
    head = f'<link rel="stylesheet" href="{assets.url("vendor/uplot.css")}">'
    head += f'<script nonce="{NONCE}" src="{assets.url("vendor/uplot.js")}"></script>'
    drawn = 'new uPlot({title: "USD", width: 400, height: 200, series: [{}, {label: "a", stroke: "green"}]}, '
    code = f'{drawn} [[1, 2, 3], [1, 4, 2]], document.getElementById("here"))'
    sight = await island(visit, head, MAIN + script(code))
    await async_api.expect(sight.page.locator("#here canvas")).to_be_visible()
    await sight.shot("island-chart")


async def test_only_what_carries_the_nonce_asks_for_anything(visit) -> None:
    """One injected element that wants to load at once, beside one of ours. The console says what was blocked."""
    asked = []
    config = '{"extensions":"sse,hx-csp","includeIndicatorCSS":false,"history":false}'
    head = f"<meta name=\"htmx-config\" content='{config}'>"
    head += f'<script nonce="{NONCE}" src="{assets.url("vendor/htmx.js")}" defer></script>'
    injected = '<b id="injected" hx-get="/injected" hx-trigger="load">x</b>'
    ours = f'<p id="ours" hx-get="/part" hx-trigger="load" hx-nonce="{NONCE}">waits</p>'
    part = '<b id="late" hx-get="/injected" hx-trigger="load">came</b>'

    async def answer(route: async_api.Route) -> None:
        asked.append(route.request.url.rpartition("/")[2])
        policy = {"content-type": "text/html", "content-security-policy": guard.POLICY.format(nonce="b3RoZXI")}
        await route.fulfill(body=part, headers=policy)

    sight = await visit("/login")
    await sight.page.context.route("**/part", answer)
    await sight.page.context.route("**/injected", answer)
    sight = await shown(sight, head, injected + ours)
    await async_api.expect(sight.page.locator("#ours")).to_have_text("came")
    assert await sight.ask("document.querySelector('#late').attributes.length") == 1
    assert asked == ["part"]
    blocked = [fault for fault in sight.faults if "[hx-csp] blocked" in fault]
    assert len(blocked) == 2
    sight.faults[:] = [fault for fault in sight.faults if fault not in blocked]
