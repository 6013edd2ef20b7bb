"""A person on a way through the pages: with a mouse, on a phone, or with the keys alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, LiteralString

import browsing
import household
from playwright import async_api

from pocketlet.db import pool

MOST_STOPS = 160  # of Tab, until what is looked for must have been reached
RAIL = "Agents and their sections"


@dataclass(frozen=True)
class Way:
    """How somebody walks: with the keys alone or with a mouse, in which colours, in how wide a window."""

    name: str
    keys: bool
    theme: str
    width: int


WAYS = (Way("keys", True, "light", 1280), Way("dark", False, "dark", 1280), Way("phone", False, "light", 390))


@dataclass
class Walk:
    """What the person does. Everything is found by what it says, as a person finds it."""

    sight: browsing.Sight
    way: Way
    house: household.House
    faults: list[str] = field(default_factory=list[str])

    @property
    def page(self) -> async_api.Page:
        """What stands in the window."""
        return self.sight.page

    @property
    def main(self) -> async_api.Locator:
        """The page without what is around it."""
        return self.page.get_by_role("main")

    def button(self, name: str) -> async_api.Locator:
        """The one of that name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> async_api.Locator:
        """The one of that name, in the page or beside it."""
        return self.page.locator("main, aside").get_by_role("link", name=name, exact=True)

    def field(self, label: str) -> async_api.Locator:
        """The one with that label."""
        return self.page.get_by_label(label, exact=True)

    def summary(self, name: str) -> async_api.Locator:
        """What opens something, by how its words begin."""
        return self.page.locator("summary").filter(has_text=name)

    async def rail(self, name: str) -> None:
        """Goes to a section of the agent, or to a page of all of them."""
        await self.press(self.page.get_by_role("navigation", name=RAIL).get_by_role("link", name=name, exact=True))

    async def reach(self, what: async_api.Locator) -> None:
        """Tab, until it has the focus."""
        await async_api.expect(what).to_be_visible()
        here = what.and_(self.page.locator(":focus"))
        for _ in range(MOST_STOPS):
            if await here.count():
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {what}")

    async def press(self, what: async_api.Locator) -> None:
        """A link, a button, or what opens something."""
        if not self.way.keys:
            await what.click()
            return
        await self.reach(what)
        await self.page.keyboard.press("Enter")

    async def tick(self, what: async_api.Locator) -> None:
        """A box: ticked or not any more."""
        if not self.way.keys:
            await what.click()
            return
        await self.reach(what)
        await self.page.keyboard.press("Space")

    async def write(self, what: async_api.Locator, text: str) -> None:
        """Letter by letter, instead of what stood there."""
        await (self.reach(what) if self.way.keys else what.click())
        await self.page.keyboard.press("ControlOrMeta+a")
        await self.page.keyboard.type(text)

    async def choose(self, what: async_api.Locator, words: str) -> None:
        """One of a list. With keys, its first letters choose it."""
        if not self.way.keys:
            await what.select_option(label=words)
            return
        await self.reach(what)
        await self.page.keyboard.type(words)

    async def at(self, title: str, *, says: str = "") -> None:
        """A page has come, with that title and something in it."""
        await async_api.expect(self.page.get_by_role("heading", level=1)).to_have_text(title)
        if says:
            await async_api.expect(self.main).to_contain_text(says)
        await self.seen()

    async def seen(self) -> None:
        """Keeps what is wrong with the page as it stands."""
        found = await self.sight.axe()
        if wide := await self.sight.too_wide():
            found.append(f"{wide} px wider than the window")
        if (filled := await self.page.locator(".primary:visible").count()) > 1:
            found.append(f"{filled} filled buttons, and a view has one at most")
        self.faults += [f"{self.page.url}: {one}" for one in found]

    async def end(self, journey: str) -> None:
        """A picture, and what was wrong on the pages that the way led over."""
        await self.sight.shot(f"journey-{journey}-{self.way.name}")
        assert not self.faults, "\n".join(self.faults)


@dataclass
class Books:
    """What is written down, read past all pages."""

    opened: pool.Database

    async def rows(self, query: LiteralString, **values: object) -> list[Mapping[str, Any]]:
        """What a query gives."""
        async with self.opened.api() as conn:
            return list(await (await conn.execute(query, values)).fetchall())

    async def one(self, query: LiteralString, **values: object) -> Any:
        """Its one value; None without a row."""
        found = await self.rows(query, **values)
        assert len(found) < 2, found
        return next(iter(found[0].values())) if found else None
