"""Every screen opens in both themes and at three widths: axe finds nothing, nothing is cut off or from elsewhere."""

import browsing
import places as every_place
import pytest
from playwright import async_api

pytestmark = pytest.mark.ui

expect = async_api.expect
LATER = 60_000  # milliseconds that a manager may take
#: The words of the buttons that are filled, whatever they are called in the page.
FILLED = """(() => {
  const ink = document.body.appendChild(document.createElement("i"))
  ink.style.backgroundColor = "var(--spruce)"
  const wanted = getComputedStyle(ink).backgroundColor
  ink.remove()
  return [...document.querySelectorAll("button, .button, a.primary")]
    .filter(one => one.checkVisibility() && getComputedStyle(one).backgroundColor === wanted)
    .map(one => one.textContent.trim())
})()"""
PAPER = "getComputedStyle(document.documentElement).backgroundColor"
#: Screens that no page of the demo has a reason to link to, and why.
UNLINKED = {
    "/agents/{agent}": "leads to its runs, and links go there at once",
    "/agents/{agent}/chat/{run}/live": "a stream, while the manager answers",
    "/feedback/{feedback}/progress": "a part of a page, while the manager is at work",
    "/agents/{agent}/triggers/when": "a part of the form of a schedule, while its words are written",
    "/runs/{run}/steps": "a part of runs with more steps than these have",
}


async def test_every_screen_is_reached_by_links(places) -> None:
    missing = sorted(places.missing - UNLINKED.keys())
    assert not missing


async def test_no_link_leads_nowhere(places) -> None:
    broken = places.broken
    assert not broken


def first(places, pattern) -> str:
    """The first example of a screen."""
    examples = places.pages.get(pattern, [])
    if not examples:
        pytest.skip("no page links to it, or it is a part of others")
    return examples[0]


async def seen(sight, address, name) -> list[str]:
    """What is wrong with the page that is open."""
    await sight.shot(name)
    findings = await sight.axe()
    if wide := await sight.too_wide():
        findings.append(f"{wide} px wider than the window")
    if len(filled := await sight.ask(FILLED)) > 1:
        findings.append(f"filled buttons: {', '.join(filled)}, and a view has one at most")
    assert not await sight.executed()
    return [f"{address}: {one}" for one in findings]


@pytest.mark.parametrize("width", browsing.WIDTHS)
@pytest.mark.parametrize("theme", browsing.THEMES)
@pytest.mark.parametrize("pattern", every_place.PATTERNS)
async def test_screen(visit, places, pattern, theme, width, record_property) -> None:
    address = first(places, pattern)
    sight = await visit(address, theme=theme, width=width)
    findings = await seen(sight, address, f"{browsing.slug(pattern)}-{theme}-{width}")
    record_property("screen", pattern)
    record_property("axe_findings", len(findings))
    assert not findings, "\n".join(findings)


@pytest.mark.parametrize("pattern", every_place.PATTERNS)
async def test_screen_with_other_content(visit, places, pattern, record_property) -> None:
    """The second example of the screen that links lead to: another run, another table."""
    first(places, pattern)
    for address in places.pages[pattern][1:]:
        findings = await seen(await visit(address), address, f"{browsing.slug(pattern)}-other")
        record_property("axe_findings", len(findings))
        assert not findings, "\n".join(findings)


@pytest.mark.parametrize("pattern", every_place.PATTERNS)
async def test_screen_without_scripts(visit, places, pattern) -> None:
    """Whoever blocks scripts reads the same page."""
    address = first(places, pattern)
    sight = await visit(address)
    with_scripts = await sight.page.get_by_role("heading").all_inner_texts()
    plain = await visit(address, java_script_enabled=False)
    await plain.shot(f"{browsing.slug(pattern)}-plain")
    assert await plain.page.get_by_role("heading").all_inner_texts() == with_scripts


@pytest.mark.parametrize("width", browsing.WIDTHS)
@pytest.mark.parametrize("theme", browsing.THEMES)
async def test_login(visit, theme, width, record_property) -> None:
    sight = await visit("/login", theme=theme, width=width)
    await sight.shot(f"login-{theme}-{width}")
    findings = await sight.axe()
    record_property("axe_findings", len(findings))
    assert not findings
    assert not await sight.too_wide()


@pytest.mark.parametrize("width", [390, 1280])
async def test_colours_are_chosen_against_the_systems(visit, width) -> None:
    """By a click, and from the first byte of the next page on; with scripts and without."""
    papers = [await (await visit("/", theme=theme)).ask(PAPER) for theme in browsing.THEMES]
    assert len(set(papers)) == 2
    for system, chosen, scripts in (("light", "dark", True), ("dark", "light", False)):
        sight = await visit("/costs", theme=system, width=width, java_script_enabled=scripts)
        await sight.page.get_by_role("button", name=chosen.capitalize(), exact=True).click()
        await expect(sight.page.locator(f'html[data-theme="{chosen}"]')).to_be_attached()
        assert sight.page.url.endswith("/costs")
        await sight.go("/agents/crm/chat")
        await expect(sight.page.get_by_role("button", name=chosen.capitalize(), pressed=True)).to_be_visible()
        await expect(sight.page.locator("html")).to_have_css("background-color", papers[browsing.THEMES.index(chosen)])
        if scripts:
            assert not await seen(sight, "the chosen colours", f"chosen-{chosen}-{width}")
        await sight.page.get_by_role("button", name="System", exact=True).click()
        await expect(sight.page.locator("html")).to_have_css("background-color", papers[browsing.THEMES.index(system)])


@pytest.mark.timeout(180)
async def test_a_proposal_that_comes_in_takes_over_the_filled_button(visit) -> None:
    sight = await visit("/agents/crm/chat?say=From now on always say thanks for the parcel.")
    assert await sight.ask(FILLED) == ["Send"]
    await sight.page.get_by_role("button", name="Send", exact=True).click()
    accept = sight.page.get_by_role("button", name="Accept", exact=True)
    await expect(accept).to_be_visible(timeout=LATER)
    assert await sight.ask(FILLED) == ["Accept"]
    assert not await seen(sight, "a proposal", "chat-proposed")
    await sight.go("/agents/crm/chat")
    assert await sight.ask(FILLED) == ["Accept"]
    await sight.page.get_by_role("button", name="Discard", exact=True).click()
    await expect(accept).to_be_hidden()
    assert await sight.ask(FILLED) == ["Send"]
