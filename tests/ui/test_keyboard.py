"""Without a mouse: Tab reaches everything on a page, one sees where one is, and nothing holds on to it."""

import places as every_place
import pytest

pytestmark = pytest.mark.ui

MOST = 80  # times that Tab is pressed; long lists go on like their beginning
STOPS = 6  # of one field at most: a date has its day, month, year and calendar
#: Where the focus is, whether one sees that (there, or on what stands for it), and whether it is in the window.
FOCUS = """(() => {
  const at = document.activeElement
  if (!at || at === document.body) return null
  const around = [at, at.parentElement, at.nextElementSibling,
    ...["label", ".cm-editor", ".editor"].map(one => at.closest(one))]
  const marked = one => one && ((style => (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0)
    || style.boxShadow !== "none")(getComputedStyle(one)))
  const box = at.getBoundingClientRect()
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth
  return [at.outerHTML.slice(0, 120), around.some(marked), inside]
})()"""


@pytest.mark.parametrize("pattern", every_place.PATTERNS)
async def test_tab_leads_through_the_page(visit, places, pattern) -> None:
    if not places.pages.get(pattern):
        pytest.skip("no page links to it, or it is a part of others")
    sight = await visit(places.pages[pattern][0])
    seen: list[str] = []
    faults: list[str] = []
    for _ in range(MOST):
        await sight.page.keyboard.press("Tab")
        found = await sight.ask(FOCUS)
        if found is None:
            break
        element, marked, inside = found
        within = seen[-1:] == [element]  # a part of the field, which the browser marks by itself
        faults += [] if marked or within else [f"no sign of the focus: {element}"]
        faults += [] if inside else [f"the focus is out of sight: {element}"]
        assert seen[-STOPS:] != [element] * STOPS, f"the focus does not leave {element}"
        seen.append(element)
    assert "Skip to the page" in seen[0]
    assert len(seen) > 5
    assert not faults, "\n".join(faults)


async def test_the_skip_link_leads_to_the_page(visit) -> None:
    sight = await visit("/")
    await sight.page.keyboard.press("Tab")
    await sight.page.keyboard.press("Enter")
    assert await sight.ask("document.activeElement.id") == "main"
