"""Feedback: saying what you think of a run, and following what becomes of it, up to the change that counts or not."""

import difflib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import feedback
from pocketlet.surfaces.web.screens import filled, once, screen

LINES = 400  # of a text that are compared

SAID = {"right": "You called it right", "change": "You asked for a change", "wrong": "You called it wrong"}


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in the form."""

    verdict: str = ""
    comment: str = ""
    edited: str = ""
    step: str = ""


async def ask(look: screen.Look) -> Response:
    """What do you think of it? With the output to edit in place. Raises errors.NotFound."""
    found = await feedback.output(look.caller, filled.number(look.path["run"]))
    return await _form(look, found, Filled(look.asked("verdict"), "", found.output, look.asked("step")))


async def _form(look: screen.Look, found: feedback.Output, words: Filled, wrong: str = "") -> Response:
    view = screen.View(
        "feedback_form.html", f"What do you think of run {found.run}?", "runs", found.agent, 422 if wrong else 200
    )
    return await screen.page(look, view, found=found, filled=words, wrong=wrong, verdicts=SAID)


async def send(look: screen.Look) -> Response:
    """Takes the words in, once. Raises errors.NotFound, errors.Conflict."""
    run = filled.number(look.path["run"])
    form = await look.form()
    found = await feedback.output(look.caller, run)
    words = Filled(
        form.get("verdict", ""), form.get("comment", ""), form.get("edited", found.output), form.get("step", "")
    )

    async def give() -> once.Came:
        given = await feedback.give(look.caller, run, _word(form))
        if given.stage == "ended":
            return once.Came(f"/runs/{run}", f"You called run {run} right. It is kept as an example for later changes.")
        return once.Came(f"/feedback/{given.given.feedback}", "The manager has your words.")

    try:
        return await once.act(look, form, give)
    except errors.BadInput as error:
        return await _form(look, found, words, filled.amiss(error))


def _word(form: Mapping[str, str]) -> feedback.FeedbackWord:
    """Raises errors.BadInput."""
    if form.get("verdict") not in SAID:
        raise errors.BadInput("Nothing is chosen.", hint="Choose right, needs a change, or wrong.")
    given = {"verdict": form["verdict"], "comment": form.get("comment", ""), "edited": form.get("edited") or None}
    return filled.body(feedback.FeedbackWord, **given, step=form.get("step") or None)


async def show(look: screen.Look) -> Response:
    """What became of a feedback. Raises errors.NotFound."""
    standing = await feedback.show(look.caller, filled.number(look.path["feedback"]))
    given = standing.given
    view = screen.View("feedback.html", SAID[given.verdict], "playbook", standing.agent)
    return await screen.page(look, view, standing=standing, edit=await _edit(look, given))


async def progress(look: screen.Look) -> Response:
    """The part that changes while the manager is at it. Raises errors.NotFound."""
    standing = await feedback.show(look.caller, filled.number(look.path["feedback"]))
    return screen.part(look, "feedback_progress.html", standing=standing)


async def _edit(look: screen.Look, given: feedback.Feedback) -> list[tuple[str, str]]:
    """The owner's text against the run's own, as marks and lines."""
    if given.edited is None or given.run is None:
        return []
    made = (await feedback.output(look.caller, given.run)).output
    before, after = made.splitlines()[:LINES], given.edited.splitlines()[:LINES]
    lines = itertools.islice(difflib.unified_diff(before, after, lineterm="", n=LINES), 3, None)
    return [(line[:1], line[1:]) for line in lines]


async def listing(look: screen.Look) -> Response:
    """All that was said of an agent. Raises errors.NotFound."""
    agent = str(look.path["agent"])
    found = await feedback.listing(look.caller, agent, cursor=look.asked("cursor"))
    more = f"/agents/{agent}/feedback?cursor={found.next}" if found.next else ""
    view = screen.View("feedback_list.html", "What you said", "playbook", agent)
    return await screen.page(look, view, items=found.items, more=more)


SCREENS = (
    screen.Screen("GET", "/runs/{run}/feedback", ask),
    screen.Screen("POST", "/runs/{run}/feedback", send),
    screen.Screen("GET", "/feedback/{feedback}", show),
    screen.Screen("GET", "/feedback/{feedback}/progress", progress),
    screen.Screen("GET", "/agents/{agent}/feedback", listing),
)
