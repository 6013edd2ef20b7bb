"""Giving an agent a task by hand: the form beside its runs, and on a page of its own if something was wrong with it."""

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import agents, starting
from pocketlet.surfaces.web.screens import filled, once, screen


async def ask(look: screen.Look) -> Response:
    """The form alone. Raises errors.NotFound."""
    agent = str(look.path["agent"])
    await _known(look, agent)
    return await _form(look, agent, {"dry": "yes"})


async def _form(look: screen.Look, agent: str, given: dict[str, str], wrong: str = "") -> Response:
    view = screen.View("task.html", "Give it a task", "runs", agent, 422 if wrong else 200)
    return await screen.page(look, view, of=agent, given=given, wrong=wrong)


async def give(look: screen.Look) -> Response:
    """Starts a run, once. Raises errors.NotFound."""
    agent, form = str(look.path["agent"]), await look.form()
    dry = form.get("dry") == "yes"

    async def begin() -> once.Came:
        if not form.get("task", "").strip():
            raise errors.BadInput("There is no task.", hint="Say what the agent is to work on.")
        body = filled.body(starting.RunGiven, input=form["task"], outside=form.get("outside") == "yes", dry=dry)
        started = await starting.start(look.caller, agent, body)
        said = "It is only shown what the run would do: nothing is sent." if dry else "It acts as its rules allow."
        return once.Came(f"/runs/{started.run}", f"Run {started.run} works on it. {said}")

    try:
        return await once.act(look, form, begin)
    except errors.BadInput as error:
        await _known(look, agent)
        return await _form(look, agent, form, filled.amiss(error))


async def home(look: screen.Look) -> Response:
    """An agent's own address leads to its runs."""
    agent = str(look.path["agent"])
    await _known(look, agent)
    return screen.to(f"/agents/{agent}/runs")


async def _known(look: screen.Look, agent: str) -> None:
    if agent not in {one.name for one in await agents.rail(look.caller)}:
        raise errors.NotFound(f"There is no agent {agent!r}.")


SCREENS = (
    screen.Screen("GET", "/agents/{agent}", home),
    screen.Screen("GET", "/agents/{agent}/task", ask),
    screen.Screen("POST", "/agents/{agent}/task", give),
)
