"""Costs: where the money went, the caps, the next month, and what another model would have cost."""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import costs
from pocketlet.surfaces.web import problems
from pocketlet.surfaces.web.screens import filled, once, screen

SPANS = (7, 30, 90, 365)
AMOUNTS = "An amount is in USD, with a point: 0.50, say. It is 0 or more, and has four places at most."


async def show(look: screen.Look) -> Response:
    """The page, of one agent or of all."""
    return await _page(look, look.asked("agent"), {}, "", 200)


async def _page(look: screen.Look, agent: str, form: Mapping[str, str], wrong: str, status: int) -> Response:
    """`form`: what stands in the one of that agent's caps, and `wrong` what is wrong with it."""
    model, given = look.asked("model").strip(), look.asked("days", "30")
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
    view = screen.View("costs.html", "Costs", "costs", agent, status)
    values = {"spans": SPANS, "chart": _chart(found.by_day), "there": there, "unknown": unknown}
    return await screen.page(look, view, costs=found, asked=asked, form=form, wrong=wrong, **values)


async def budget(look: screen.Look) -> Response:
    """Sets an agent's caps, once; what can't be used comes back with the form. Raises errors.NotFound."""
    agent, form = str(look.path["agent"]), await look.form()
    shown = filled.number(form.get("revision", ""), filled.REVISIONS)

    async def put() -> once.Came:
        try:
            body = filled.body(costs.Budget, revision=shown, per_run=form.get("run"), per_day=form.get("day"))
        except errors.BadInput as error:
            raise errors.BadInput(AMOUNTS, hint="Nothing was changed.") from error
        done = await costs.budget(look.caller, agent, body)
        return once.Came(f"/costs?agent={agent}#main", done.said)

    try:
        return await once.act(look, form, put)
    except (errors.BadInput, errors.Conflict) as error:
        return await _page(look, agent, form, filled.amiss(error), problems.status(error))


def _chart(days: list[costs.Day]) -> dict[str, Any]:
    """At noon UTC, so that each day stands under its own date in most zones."""
    noons = [int(datetime.combine(one.day, time(12), UTC).timestamp()) for one in days]
    return {"x": noons, "lines": [{"name": "Spent", "values": [float(one.cost) for one in days]}], "unit": "$"}


SCREENS = (screen.Screen("GET", "/costs", show), screen.Screen("POST", "/agents/{agent}/budget", budget))
