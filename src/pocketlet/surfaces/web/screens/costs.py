"""Costs: where the money went, the caps, the next month, and what another model would have cost."""

from datetime import UTC, datetime, time
from typing import Any

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import costs
from pocketlet.surfaces.web.screens import filled, screen

SPANS = (7, 30, 90, 365)


async def show(look: screen.Look) -> Response:
    """The page, of one agent or of all."""
    agent, model = look.asked("agent"), look.asked("model").strip()
    given = look.asked("days", "30")
    days = int(given) if given.isascii() and given.isdecimal() and int(given[:4]) in SPANS else 30
    found = await costs.show(look.caller, agent=agent, days=days)
    there: costs.Elsewhere | None = None
    unknown = ""
    if model:
        try:
            there = await costs.elsewhere(look.caller, model=model, agent=agent, days=days)
        except (errors.NotFound, errors.BadSetting) as error:
            unknown = filled.amiss(error)
    asked = {"agent": agent, "days": days, "model": model}
    view = screen.View("costs.html", "Costs", "costs", agent)
    values = {"spans": SPANS, "chart": _chart(found.by_day), "there": there, "unknown": unknown}
    return await screen.page(look, view, costs=found, asked=asked, **values)


def _chart(days: list[costs.Day]) -> dict[str, Any]:
    """At noon UTC, so that each day stands under its own date in most zones."""
    noons = [int(datetime.combine(one.day, time(12), UTC).timestamp()) for one in days]
    return {"x": noons, "lines": [{"name": "Spent", "values": [float(one.cost) for one in days]}], "unit": "$"}


SCREENS = (screen.Screen("GET", "/costs", show),)
