"""Which hat a request asks for: its tools alone tell."""

from dataclasses import replace

from . import answer as answers
from . import chat, family, manager, prompt, worker

LOST = "I am a stand-in model; I can act only on a task or a feedback, with the tools that go with it."


def answer(request: prompt.Request) -> answers.Answer:
    """The answer to a request. Raises family.UnknownModel."""
    traits = family.traits(request.model)
    dice = family.Dice(request.model, request.seed, request.turn)
    # Who can't write SQL acts as if there were no tool for it.
    able = request if traits.sql else replace(request, tools=request.tools - {"sql"})
    given = _wear(able, traits, dice)
    if isinstance(given, answers.Use) and dice.falls(traits.malformed, "malformed"):
        return replace(given, malformed=True)
    return given


def _wear(request: prompt.Request, traits: family.Traits, dice: family.Dice) -> answers.Answer:
    if "propose_lesson" in request.tools:
        return chat.act(request)
    if "draft_lesson" in request.tools and "# Feedback" in request.user:
        return manager.act(request, traits, dice)
    if "finish" in request.tools and "# Task" in request.user:
        return worker.act(request, traits, dice)
    return answers.Say(LOST)
