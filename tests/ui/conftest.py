"""What the tests in a browser share: a machine, a browser, and `visit`, through which every page is opened."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from pathlib import Path

import browsing
import furnishing
import household
import places as every_place
import pytest
from playwright import async_api

Visit = Callable[..., Awaitable[browsing.Sight]]


@pytest.fixture(scope="session")
def _chromium() -> None:
    """Here, it may be missing; in continuous integration it may not."""
    if browsing.chromium() is None:
        said = "There is no Chromium: `make system-deps` installs Debian's."
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)


@pytest.fixture(scope="session")
def house(_chromium: None) -> Iterator[household.House]:
    """The machine. Whoever changes what others look at starts a run of their own."""
    with household.lived_in() as made:
        yield made


@pytest.fixture(scope="session")
async def chrome(_chromium: None) -> AsyncGenerator[async_api.Browser]:
    """The browser."""
    async with browsing.opened() as made:
        yield made


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: POCKETLET_SHOTS, or a folder that pytest clears away."""
    folder = Path(os.environ.get("POCKETLET_SHOTS") or tmp_path_factory.mktemp("shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
async def furnished(house: household.House) -> list[str]:
    """The machine, with something to show on every screen; addresses that forms led to meanwhile."""
    return await furnishing.furnish(house)


@pytest.fixture(scope="session")
async def places(house: household.House, furnished: list[str]) -> every_place.Places:
    """Every page that links lead to."""
    return await every_place.found(house.url, furnished)


@pytest.fixture
async def visit(
    house: household.House, chrome: async_api.Browser, shots: Path, record_property: Callable[[str, object], None]
) -> AsyncGenerator[Visit]:
    """`await visit("/runs/3", theme="dark", width=390)`: a page in a fresh browser profile (`profile`: more of
    Playwright's options). The test fails if any page of it writes an error to the console, throws, or asks anybody
    else for anything.
    """
    sights: list[browsing.Sight] = []

    async def visiting(
        address: str, *, theme: str = "light", width: int = 1280, status: int = 200, **profile: object
    ) -> browsing.Sight:
        size = {"width": width, "height": browsing.HEIGHT}
        options = {"color_scheme": theme, "viewport": size, "reduced_motion": "reduce", **profile}
        context = await chrome.new_context(**options)  # pyright: ignore[reportArgumentType]
        context.set_default_timeout(browsing.PATIENCE)
        sight = browsing.Sight(await context.new_page(), house.url, shots)
        sights.append(sight)
        sight.watch()
        await sight.go(address, status)
        return sight

    yield visiting
    for sight in sights:
        await sight.page.context.close()
    record_property("foreign_requests", sum(len(one.foreign) for one in sights))
    record_property("hostile_executed", sum(one.hostile for one in sights))
    faults = [fault for one in sights for fault in one.faults]
    assert not faults, "\n".join([*faults, "The log of the server ends with:", house.said()])
