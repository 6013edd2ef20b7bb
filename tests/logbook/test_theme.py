"""Light and dark by choice: a browser keeps it, pages come in it from the first byte on, and no other word counts."""

import re

import page_forms
import pytest
from desks import Desk

DARK = '<html lang="en" data-theme="dark">'
PLAIN = '<html lang="en">'


async def test_the_choice_is_kept_and_every_page_comes_in_it(desk: Desk) -> None:
    async with await desk.browser() as browser:
        first = await browser.get("/costs?agent=crm&days=7")
        assert PLAIN in first.text
        assert '<meta name="color-scheme" content="light dark">' in first.text
        form = page_forms.with_words(first, "Dark")
        chosen = await page_forms.send(browser, form, theme="dark")
        assert (chosen.status_code, chosen.headers["location"]) == (303, "/costs?agent=crm&days=7")
        cookie = chosen.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("pocketlet-theme=dark", "httponly", "samesite=lax", "path=/"))
        for address in ("/", "/agents/crm/chat", "/login", "/runs/999999"):
            page = (await browser.get(address, headers={"accept": "text/html"})).text
            assert DARK in page, address
            assert '<meta name="color-scheme" content="dark">' in page, address
        pressed = re.findall(r'value="(\w+)" aria-pressed="true"', (await browser.get("/")).text)
        assert pressed == ["dark"]
        await page_forms.send(browser, form, theme="system")
        assert PLAIN in (await browser.get("/")).text


async def test_an_address_with_odd_letters_is_come_back_to(desk: Desk) -> None:
    async with await desk.browser() as browser:
        page = await browser.get("/runs?text=%C3%A4%20%26%22")
        chosen = await page_forms.send(browser, page_forms.with_words(page, "Dark"), theme="light")
        assert page.status_code == 200
        assert (await browser.get(chosen.headers["location"])).url == page.url


@pytest.mark.parametrize("back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "", "x", "/a\r\nb: c"])
async def test_it_leads_back_to_our_own_pages_alone(desk: Desk, back: str) -> None:
    async with await desk.browser() as browser:
        answer = await browser.post("/theme", data={"theme": "dark", "back": back})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_what_is_no_theme_is_neither_kept_nor_shown(desk: Desk) -> None:
    made_up = 'dark" onload="x'
    async with await desk.browser() as browser:
        answer = await browser.post("/theme", data={"theme": made_up, "back": "/"})
        assert answer.status_code == 422
        assert "pocketlet-theme" not in answer.headers.get("set-cookie", "")
        browser.cookies.set("pocketlet-theme", "sepia")
        page = await browser.get("/")
        assert PLAIN in page.text
        assert "sepia" not in page.text


async def test_the_task_page_is_linked_from_every_page_of_its_agent(desk: Desk) -> None:
    async with await desk.browser() as browser:
        other = (await browser.get("/agents/crm/playbook")).text
        here = (await browser.get("/agents/crm/task")).text
    assert '<a href="/agents/crm/task"><' in other
    current = re.findall(r'<a href="([^"]+)" aria-current="page"', here)
    assert current == ["/agents/crm/task"]
