"""The slice of the browser's tests that every `make test` runs: the first page, in both themes."""

import browsing
import pytest


@pytest.mark.parametrize("theme", browsing.THEMES)
async def test_the_first_page_opens(visit, theme) -> None:
    sight = await visit("/", theme=theme)
    await sight.shot(f"first-{theme}")
    assert await sight.page.get_by_role("heading", level=1).count() == 1
    assert not await sight.axe()
