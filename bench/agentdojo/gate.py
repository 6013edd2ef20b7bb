"""One run before the policy core: what it knows at its start, what it reads, and what it may do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.agentdojo import words
from bench.agentdojo.tools import Tool
from bench.agentdojo.worlds import World

from pocketlet.policy import calls, core, labels

#: How an owner sets such an agent up: what can't be taken back goes unasked to where the task is bound, no further.
RULES_A_DAY = 1000
#: What words can name; addresses and pages have no names.
NAMED = ("record", "person", "channel", "account")
#: Kinds that are given by an id, and bound by the name of the record that it stands for.
BY_ID = ("event", "file", "order", "message")


class Gate:
    """The gate of one run of the owner's task `prompt`."""

    def __init__(self, prompt: str, table: Mapping[str, Tool], world: World) -> None:
        self.table = table
        self.world = world
        catalogue = world.catalogue()
        said = [words.read(prompt, catalogue)]
        said += [words.read(text, catalogue) for text in world.handed_on(said[0])]
        lexicon = {name: (tool.verbs, tool.nouns) for name, tool in table.items() if tool.verbs}
        idle = {name for name, tool in table.items() if not tool.verbs}
        self.standing = calls.Standing(
            integrity="owner",
            secrecy="public",
            owners_task=True,
            bound=_bound(said, world),
            known=frozenset(value for one in said for value in one.values) | world.links(),
            own=frozenset(world.own()),
            rules=tuple(
                calls.Rule(number, name, left=RULES_A_DAY)
                for number, (name, tool) in enumerate(table.items(), start=1)
                if tool.effect in core.LASTING or ("mail", "participants") in tool.to
            ),
            plan=frozenset(idle | {tool for one in said for tool in words.plan(one.text, lexicon)}),
        )

    def decide(self, name: str, arguments: Mapping[str, Any]) -> calls.Decision:
        """The core's decision on a call."""
        return core.decide(self.call(name, arguments), self.standing)

    def call(self, name: str, arguments: Mapping[str, Any]) -> calls.Call | None:
        """A call as the core sees it; None if there is no such tool."""
        if name not in self.table:
            return None
        tool = self.world.sink(self.table[name], arguments)
        return calls.Call(
            calls.Sink(name, tool.effect, secrecy=tool.cap),
            tuple(self._destinations(tool, arguments)),
            texts=_texts(arguments, tool.says),
            carried=_texts(arguments, tool.carries),
            secrecy="public",
        )

    def _destinations(self, tool: Tool, arguments: Mapping[str, Any]) -> list[calls.Destination]:
        found: list[calls.Destination] = []
        for kind, argument in tool.to:
            given = arguments.get(argument)
            values = given if isinstance(given, list) else [given] if given is not None else []
            for value in values or self.world.implied(kind, arguments):
                name = self.world.stands_for(kind, value)
                found.append(calls.Destination("record" if kind in BY_ID else kind, name))
        return found

    def has_read(self, name: str, arguments: Mapping[str, Any], result: Any) -> None:
        """The run has read what a tool returned: its label only worsens."""
        integrity, secrecy = self.world.label(name, self.table[name], arguments, result)
        if self.table[name].effect == "read":
            self.worsen(integrity, secrecy)

    def worsen(self, integrity: str, secrecy: str = "public") -> None:
        """Joins a label to the run's."""
        self.standing = replace(
            self.standing,
            integrity=labels.join(self.standing.integrity, integrity),
            secrecy=labels.most_secret(self.standing.secrecy, secrecy),
        )


def _bound(said: list[words.Said], world: World) -> frozenset[calls.Destination]:
    """What trusted words name, and what they lead to by way of own data: fixed here, before anything is read."""
    names = {name for one in said for name in one.names}
    pairs = {(kind, name) for kind in NAMED for name in names}
    for one in said:
        pairs |= {("mail", value) for value in core.addresses([one.text])}
        pairs |= {("page", value.lower()) for value in core.links([one.text])}
        pairs |= world.designated(one)
    pairs |= {(kind, value) for value in world.own() for kind in ("mail", "account")}
    return frozenset(calls.Destination(kind, value) for kind, value in pairs)


def _texts(arguments: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(arguments[name]) for name in names if arguments.get(name) is not None)
