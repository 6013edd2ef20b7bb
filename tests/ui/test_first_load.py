"""What a first visit costs: bytes over the wire, and the time until the page can be used."""

import browsing
import pytest

pytestmark = pytest.mark.ui

MOST_KB = 200
PAGE = "performance.getEntriesByType('navigation')[0]"
ALL = f"[{PAGE}, ...performance.getEntriesByType('resource')].map(one => [one.name, one.transferSize])"


async def test_the_first_page_is_light(visit, record_property) -> None:
    """Headers and all, into an empty cache. The time is told, and nothing is made of it: this machine may be busy."""
    sight = await visit("/", width=browsing.WIDTHS[0])
    loaded = await sight.ask(ALL)
    size = sum(size for _, size in loaded) / 1000
    record_property("first_load_kb", round(size, 1))
    record_property("interactive_ms", round(await sight.ask(f"{PAGE}.domInteractive")))
    assert len(loaded) > 4
    assert size <= MOST_KB, loaded


async def test_a_second_page_loads_only_itself(visit) -> None:
    sight = await visit("/")
    await sight.go("/")
    again = {name: size for name, size in await sight.ask(ALL) if size}
    assert [name for name in again if "/static/" in name] == []
