"""One run as a page: its story, what it waits for, what it was told, and what can be done with it."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from pocketlet.surfaces.api import approvals, endpoint, feedback, following, run, runs, starting, story
from pocketlet.surfaces.web import pages, streams
from pocketlet.surfaces.web.screens import filled, once, screen

SHOWN = 150  # steps on a page: the last ones, and older ones on demand
LETTERS = 3  # questions that are shown in place
WAITS = re.compile(r"[\d,]{0,200}", re.ASCII)  # the letters that a page has


def _number(look: screen.Look) -> int:
    return filled.number(look.path["run"])


async def show(look: screen.Look) -> Response:
    """The page. Asked for one step, it shows those around it."""
    told = await run.show(look.caller, _number(look))
    step = _step(look, "step")
    before = min(step + SHOWN // 2, told.totals.steps + 1) if step else _step(look, "before") or told.totals.steps + 1
    steps = await run.steps(look.caller, told.run, before=before, limit=SHOWN)
    newest = steps.items[-1].seq if steps.items else 0
    values: dict[str, Any] = {"run": told, "number": told.run, "totals": told.totals, "steps": steps, "newest": newest}
    values["oldest"] = steps.items[0].seq if steps.items else 1
    values["live"] = not told.totals.ended and steps.later is None
    values["questions"] = await _questions(look, told.totals) if steps.later is None else []
    if told.kind == "run":
        values["feedback"] = await feedback.output(look.caller, told.run)
    answer = await screen.page(look, screen.View("run.html", told.title, "runs", told.agent), **values)
    if look.from_here:
        await runs.mark_seen(look.caller, told.run)
    return answer


async def older(look: screen.Look) -> Response:
    """Some steps, to be put before those that the page has."""
    steps = await run.steps(look.caller, _number(look), before=_step(look, "before"), limit=SHOWN)
    return screen.part(look, "steps.html", number=_number(look), steps=steps)


async def letters(look: screen.Look) -> Response:
    """What the run waits for, now."""
    totals = await run.standing(look.caller, _number(look))
    return screen.part(look, "run_letters.html", questions=await _questions(look, totals))


async def live(look: screen.Look) -> Response:
    """The page's own stream: the same templates, for each event of the run.

    Its ids say which steps and letters the page has: one that comes back gets no letter anew that is being edited.
    """
    told = look.request.headers.get("last-event-id") or f"{look.asked('after', '0')}:{look.asked('waits')}"
    seq, _, known = told.partition(":")
    has = Has(seq=filled.number(seq or "0"), waits=known if WAITS.fullmatch(known) else "")
    events = run.events(look.caller, _number(look), after=has.seq)
    first = await anext(events, None)

    async def messages() -> AsyncIterator[str]:
        for text in _messages(look, first, has) if first else ():
            yield text
        async for event in events:
            for text in _messages(look, event, has):
                yield text

    return streams.Stream(look.request, look.caller, messages())


@dataclass(slots=True)
class Has:
    """What the page has: the last step, and the letters, by number."""

    seq: int
    waits: str

    @property
    def id(self) -> str:
        """After which a stream that broke goes on."""
        return f"{self.seq}:{self.waits}"


def _messages(look: screen.Look, event: endpoint.Event, has: Has) -> list[str]:
    """An event as parts of the page; `has` keeps up with it."""
    if event.kind == "end":
        return [streams.message("end", "")]
    if event.kind == "steps":
        pieces = [story.Piece.model_validate(one) for one in event.data["items"]]
        has.seq = int(event.id)
        return [streams.message("", _rendered(look, pieces=pieces, totals=None), has.id)]
    totals = following.Totals.model_validate(event.data)
    texts = [streams.message("", _rendered(look, pieces=[], totals=totals), has.id)]
    if (waits := ",".join(map(str, totals.waits))) != has.waits:
        has.waits = waits
        texts.append(streams.message("waits", "", has.id))
    return texts


def _rendered(look: screen.Look, **values: object) -> str:
    made = pages.Page("screens/run_live.html", "").of(look.request, **values)
    return bytes(made.body).decode()


async def _questions(look: screen.Look, totals: following.Totals) -> list[approvals.Question]:
    return [await approvals.show(look.caller, one) for one in totals.waits[:LETTERS]]


def _step(look: screen.Look, name: str) -> int:
    found = look.asked(name)
    return int(found) if found.isascii() and found.isdigit() and len(found) < 10 else 0


async def stop(look: screen.Look) -> Response:
    """Stops it."""
    done = await starting.stop(look.caller, _number(look))
    said = "The run is stopped." if done.state == "stopped" else "The run stops before its next act."
    return screen.to(f"/runs/{done.run}", said)


async def retry(look: screen.Look) -> Response:
    """Lets it go on, once."""

    async def act() -> once.Came:
        done = await starting.retry(look.caller, _number(look))
        return once.Came(f"/runs/{done.run}", "The run goes on from its last step.")

    return await once.act(look, await look.form(), act)


async def rerun(look: screen.Look) -> Response:
    """Does it again, once, on the revision in force."""
    form = await look.form()

    async def act() -> once.Came:
        done = await starting.rerun(look.caller, _number(look), starting.Again(dry="dry" in form))
        more = " Nothing is sent." if "dry" in form else ""
        return once.Came(f"/runs/{done.run}", f"Run {done.run} does it again.{more}")

    return await once.act(look, form, act)


async def quote(look: screen.Look) -> Response:
    """What another model would cost."""
    told = await run.show(look.caller, _number(look))
    found = await starting.quote(look.caller, told.run, model=look.asked("model")[:200])
    view = screen.View("run_replay.html", "Try another model", "runs", told.agent)
    return await screen.page(look, view, run=told, quote=found)


async def replay(look: screen.Look) -> Response:
    """Does it again, once, on another model, with nothing sent."""
    form = await look.form()

    async def act() -> once.Came:
        body = filled.body(starting.Other, model=form.get("model", ""))
        done = await starting.replay(look.caller, _number(look), body)
        return once.Came(f"/runs/{done.run}", f"Run {done.run} does it again. Nothing is sent.")

    return await once.act(look, form, act)


SCREENS = (
    screen.Screen("GET", "/runs/{run}", show),
    screen.Screen("GET", "/runs/{run}/steps", older),
    screen.Screen("GET", "/runs/{run}/letters", letters),
    screen.Screen("GET", "/runs/{run}/live", live),
    screen.Screen("POST", "/runs/{run}/stop", stop),
    screen.Screen("POST", "/runs/{run}/retry", retry),
    screen.Screen("POST", "/runs/{run}/rerun", rerun),
    screen.Screen("GET", "/runs/{run}/replay", quote),
    screen.Screen("POST", "/runs/{run}/replay", replay),
)
