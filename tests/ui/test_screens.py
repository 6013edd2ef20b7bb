"""Every screen opens in both themes and at three widths: axe finds nothing, nothing is cut off or from elsewhere."""

import browsing
import places as every_place
import pytest

pytestmark = pytest.mark.ui

#: Screens that no page of the demo has a reason to link to, and why.
UNLINKED = {
    "/agents/{agent}/chat/{run}/live": "a stream, while the manager answers",
    "/feedback/{feedback}/progress": "a part of a page, while the manager is at work",
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
    if (filled := await sight.page.locator(".primary:visible").count()) > 1:
        findings.append(f"{filled} filled buttons, and a view has one at most")
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
