"""An agent as a whole: giving it a task by hand, and removing it for good."""

from starlette.responses import Response

from pocketlet import errors
from pocketlet.surfaces.api import agents, removing, starting
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


async def leaving(look: screen.Look) -> Response:
    """What would go with the agent, and the field for its name. Raises errors.NotFound."""
    return await _leaving(look, str(look.path["agent"]))


async def _leaving(look: screen.Look, agent: str, wrong: str = "") -> Response:
    found = await removing.show(look.caller, agent)
    view = screen.View("removal.html", f"Remove {agent}", "playbook", agent, 422 if wrong else 200)
    return await screen.page(look, view, found=found, wrong=wrong)


async def remove(look: screen.Look) -> Response:
    """Removes it, if its name was typed. Raises errors.NotFound."""
    agent, form = str(look.path["agent"]), await look.form()

    async def work() -> once.Came:
        body = filled.body(removing.AgentNamed, name=form.get("name", "").strip())
        return once.Came("/", (await removing.remove(look.caller, agent, body)).said)

    try:
        return await once.act(look, form, work)
    except errors.BadInput as error:
        return await _leaving(look, agent, filled.amiss(error))


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
    screen.Screen("GET", "/agents/{agent}/removal", leaving),
    screen.Screen("POST", "/agents/{agent}/removal", remove),
)
