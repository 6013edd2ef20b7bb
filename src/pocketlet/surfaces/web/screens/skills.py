"""Skills: what an agent can read up on; every change of one is seen before it counts."""

import re
import secrets
from typing import Literal, get_args

from starlette.responses import Response

from pocketlet.surfaces.api import changes, skills
from pocketlet.surfaces.web.screens import filled, once, screen

FRONT = re.compile(r"\A---\r?\n.*?\n---[ \t]*\r?\n", re.DOTALL)
Side = Literal["", "ours", "theirs"]
#: How people call what a text speaks of.
SPEAKS_OF = (("scripts", "programs"), ("hosts", "hosts"), ("addresses", "addresses"), ("tools", "tools"))


def here(agent: str, *parts: str) -> str:
    """The address of a page of this screen."""
    return "/".join((f"/agents/{agent}/skills", *parts))


def spoken(found: skills.Permissions) -> list[tuple[str, list[str]]]:
    """What a text speaks of, by kind; kinds of which there is nothing are left out."""
    record = found.model_dump()
    return [(word, record[name]) for name, word in SPEAKS_OF if record[name]]


async def show(look: screen.Look) -> Response:
    """All skills of an agent, those that are off, and the way to a new one."""
    agent = look.path["agent"]
    found = await skills.listing(look.caller, agent)
    view = screen.View("skills.html", "Skills", "skills", agent)
    return await screen.page(look, view, skills=found.items, put_by=found.put_by, spoken=spoken)


async def one(look: screen.Look) -> Response:
    """One skill: its text, its files, where it comes from, and what can be done with it."""
    agent, name = look.path["agent"], look.path["skill"]
    whole = await skills.show(look.caller, agent, name)
    text = whole.texts.get("SKILL.md", "")
    return await screen.page(
        look,
        screen.View("skills_one.html", name, "skills", agent),
        whole=whole,
        skill=whole.skill,
        text=text,
        reading=FRONT.sub("", text),
        others=sorted((path, content) for path, content in whole.texts.items() if path != "SKILL.md"),
        edits=changes.marked(whole.edits),
        spoken=spoken,
        current=await _current(look, agent),
        key=secrets.token_urlsafe(12),
    )


async def _current(look: screen.Look, agent: str) -> int:
    return (await skills.listing(look.caller, agent)).current


async def plan(look: screen.Look) -> Response:
    """What installing or updating would mean, before anything is changed."""
    agent, form = look.path["agent"], await look.form()
    body = filled.body(
        skills.SkillSource, source=form.get("source", ""), skill=form.get("skill", ""), prefer=_side(form)
    )
    found = await skills.plan(look.caller, agent, body=body)
    title = f"Install {found.skill}?" if found.is_new else f"Update {found.skill}?"
    view = screen.View("skills_plan.html", title, "skills", agent)
    return await screen.page(
        look,
        view,
        plan=found,
        skill=body.skill,
        prefer=body.prefer,
        diff=changes.marked(found.diff),
        conflict=changes.marked(found.conflict_diff),
        spoken=spoken,
    )


def _side(form: dict[str, str]) -> Side:
    return next((side for side in get_args(Side) if side == form.get("prefer")), "")


async def install(look: screen.Look) -> Response:
    """Puts what was shown into force, if it is still that."""
    agent, form = look.path["agent"], await look.form()
    values = {name: form.get(name, "") for name in ("source", "skill", "digest")}
    done = await skills.install(look.caller, agent, body=filled.body(skills.Install, prefer=_side(form), **values))
    return screen.to(here(agent), done.said)


async def preview(look: screen.Look) -> Response:
    """What an edit would change."""
    agent, name = look.path["agent"], look.path["skill"]
    body = _edited(await look.form())
    found = await skills.preview(look.caller, agent, name, body=body)
    if found.idle:
        return screen.to(here(agent, name), "The text is as it was.")
    view = screen.View("skills_edit.html", f"Change {name}?", "skills", agent)
    return await screen.page(
        look, view, plan=found, skill=name, edit=body, diff=changes.marked(found.diff), spoken=spoken
    )


async def edit(look: screen.Look) -> Response:
    """Puts an edit into force that was shown."""
    agent, name = look.path["agent"], look.path["skill"]
    done = await skills.edit(look.caller, agent, name, body=_edited(await look.form()))
    return screen.to(here(agent, name), done.said)


def _edited(form: dict[str, str]) -> skills.SkillEdit:
    text = form.get("text", "")
    revision = form.get("revision", "")
    return filled.body(skills.SkillEdit, text=text if text.endswith("\n") else f"{text}\n", revision=revision)


async def off(look: screen.Look) -> Response:
    """Turns a skill off."""
    agent = look.path["agent"]
    return screen.to(here(agent), (await skills.off(look.caller, agent, look.path["skill"])).said)


async def on(look: screen.Look) -> Response:
    """Turns a skill on again."""
    agent = look.path["agent"]
    return screen.to(here(agent), (await skills.on(look.caller, agent, look.path["skill"])).said)


async def trial(look: screen.Look) -> Response:
    """Starts a run that is asked to use the skill, and of which nothing leaves."""
    agent, name, form = look.path["agent"], look.path["skill"], await look.form()

    async def begin() -> once.Came:
        body = filled.body(skills.SkillTask, task=form.get("task", "").strip())
        started = await skills.trial(look.caller, agent, name, body=body)
        return once.Came(f"/runs/{started.run}", f"Run {started.run} tries the skill {name}. Nothing of it leaves.")

    return await once.act(look, form, begin)


HERE = "/agents/{agent}/skills"
SCREENS = (
    screen.Screen("GET", HERE, show),
    screen.Screen("POST", f"{HERE}/plan", plan),
    screen.Screen("POST", f"{HERE}/install", install),
    screen.Screen("GET", f"{HERE}/{{skill}}", one),
    screen.Screen("POST", f"{HERE}/{{skill}}/preview", preview),
    screen.Screen("POST", f"{HERE}/{{skill}}/text", edit),
    screen.Screen("POST", f"{HERE}/{{skill}}/trial", trial),
    screen.Screen("POST", f"{HERE}/{{skill}}/off", off),
    screen.Screen("POST", f"{HERE}/{{skill}}/on", on),
)
