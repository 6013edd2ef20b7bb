"""The tools of a run: what each is offered as, and what happens when the model calls it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.agents import mailing, runs
from pocketlet.agents import playbook as playbooks
from pocketlet.db import pool
from pocketlet.platform.gateways import models

Commit = Callable[[pool.Conn], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a run, as the model put it."""

    outcome: str
    summary: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call gave. `commit` runs in the step's transaction; `parks`: no result yet, the owner is asked.

    `request`: what was really done, if the owner changed what the model had asked for.
    """

    text: str = ""
    error: str | None = None
    label: str = "playbook"
    meta: Mapping[str, Any] | None = None
    commit: Commit | None = None
    finish: Finish | None = None
    parks: bool = False
    request: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """What a tool may use. `seq` is the number of this call's step, `home` where the sealing key lies."""

    database: pool.Database
    sender: mailing.Sender
    playbook: playbooks.Playbook
    run: runs.Run
    seq: int
    home: Path

    @property
    def schema(self) -> str:
        """The agent's schema."""
        return self.sender.agent.name


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: its offer to the model and its deed. `required` and `optional` map a parameter to its JSON schema."""

    name: str
    description: str
    act: Callable[[Context, Mapping[str, Any]], Awaitable[Outcome]]
    required: Mapping[str, Mapping[str, Any]]
    optional: Mapping[str, Mapping[str, Any]] | None = None

    @property
    def offer(self) -> models.Tool:
        """As the model sees it."""
        properties = dict(self.required) | dict(self.optional or {})
        schema: dict[str, object] = {
            "type": "object",
            "properties": properties,
            "required": list(self.required),
            "additionalProperties": False,
        }
        return models.Tool(self.name, self.description, schema)

    def check(self, args: Mapping[str, Any] | None, raw: str) -> str | None:
        """What is wrong with the arguments, in a sentence that the model can act on."""
        if args is None:
            return f"the arguments of {self.name} are not a JSON object: {raw[:200]!r}"
        properties = dict(self.required) | dict(self.optional or {})
        if missing := [name for name in self.required if name not in args]:
            return f"{self.name} needs {', '.join(missing)}"
        if unknown := sorted(args.keys() - properties.keys()):
            return f"{self.name} has no argument {', '.join(unknown)}; it has {', '.join(properties)}"
        for name, value in args.items():
            if problem := _mismatch(value, properties[name]):
                return f"{name} of {self.name} must be {problem}, not {json.dumps(value)[:80]}"
        return None


TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "object": (dict,), "array": (list,),
}  # fmt: skip


def _mismatch(value: object, schema: Mapping[str, Any]) -> str:
    kinds = TYPES[schema["type"]]
    if not isinstance(value, kinds) or isinstance(value, bool):
        return f"a {schema['type']}" if schema["type"][0] not in "aeio" else f"an {schema['type']}"
    allowed = schema.get("enum")
    return f"one of {', '.join(allowed)}" if allowed and value not in allowed else ""


def text(description: str, **more: object) -> dict[str, Any]:
    """The JSON schema of a text parameter."""
    return {"type": "string", "description": description, **more}


def problem(tools: Mapping[str, Tool], wanted: models.ToolCall) -> str | None:
    """Why a call can't even be tried, in a sentence that the model can act on."""
    tool = tools.get(wanted.name)
    if tool is None:
        return f"there is no tool {wanted.name}; there are {', '.join(tools)}"
    return tool.check(wanted.args, wanted.raw)


async def call(tools: Mapping[str, Tool], context: Context, wanted: models.ToolCall) -> Outcome:
    """Does what the model asked for. A mistake of the model comes back as an error that it can read."""
    if wrong := problem(tools, wanted):
        return Outcome(error=wrong)
    try:
        return await tools[wanted.name].act(context, wanted.args or {})
    except (errors.GateRefusal, errors.BadInput, errors.NotFound, errors.Conflict) as error:
        return refusal(error)


def refusal(error: errors.PocketletError, label: str = "playbook") -> Outcome:
    """The error as an observation that the model can act on."""
    return Outcome(error=f"{error} {error.hint}".strip(), label=label)


OUTCOMES = ("done", "blocked", "nothing_to_do", "needs_person")


async def _finish(context: Context, args: Mapping[str, Any]) -> Outcome:
    summary = str(args["summary"]).strip()
    return Outcome("finished", finish=Finish(args["outcome"], summary))


FINISH = Tool(
    "finish",
    "Ends this task. Call it once, last.",
    _finish,
    {
        "outcome": text("What came of it.", enum=list(OUTCOMES)),
        "summary": text("One to three sentences on what was done; later runs can search them."),
    },
)
