"""`pocketlet chat`: a talk with an agent's manager, turn by turn, each with its change card."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors, settings
from pocketlet.surfaces.cli import output

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.learning import cards

ACTS = ("accept", "discard", "undo")
DONE = {
    "accept": "{agent}: revision {revision} is the current one. `pocketlet rollback {agent} {parent}` goes back.",
    "discard": "{agent}: revision {revision} is discarded.",
    "undo": "{agent}: back to revision {parent}.",
}


@click.command()
@click.argument("agent")
@click.argument("message", required=False)
@click.option("--accept", is_flag=True, help="Accept what this turn proposes at once.")
@output.as_json
def chat(agent: str, message: str | None, *, accept: bool, as_json: bool) -> None:
    """Talk to an agent's manager: set it up, ask about its work, change it.

    Without MESSAGE it asks for one after the other until Ctrl-D; Ctrl-C ends a turn. What a turn proposes is shown as a
    card, and `accept`, `discard` or `undo` as a message acts on the last one. Where there is no agent of that name, an
    empty one is made and the manager proposes the rest. With --json, each line is one JSON object.
    """
    from pocketlet.platform import database

    if accept and message is None:
        raise click.UsageError("--accept needs a MESSAGE.")
    with asyncio.Runner() as runner, contextlib.ExitStack() as closing:
        stack = contextlib.AsyncExitStack()
        closing.callback(lambda: runner.run(stack.aclose()))
        opened = runner.run(stack.enter_async_context(database.opened(settings.read())))
        talk = Talk(opened, agent, as_json=as_json)
        if message is None:
            _converse(runner, talk)
            return
        if message.strip() in ACTS:
            runner.run(talk.act(message.strip()))
            return
        code = runner.run(talk.turn(message, wait=not accept))
        if accept and talk.card:
            runner.run(talk.act("accept"))
    if code:
        click.get_current_context().exit(code)


def _converse(runner: asyncio.Runner, talk: "Talk") -> None:
    while True:
        if sys.stdin.isatty():
            click.echo("> ", nl=False, err=True)
        line = sys.stdin.readline()
        if not line:
            return
        said = line.strip()
        try:
            if said in ACTS:
                runner.run(talk.act(said))
            elif said:
                runner.run(talk.turn(said))
        except errors.PocketletError as error:
            talk.failed(type(error).__name__, str(error), error.hint)
        except KeyboardInterrupt:
            talk.failed("Interrupted", "Interrupted.", "")


class Talk:
    """A conversation on an open database. `card` is the last one."""

    def __init__(self, database: "pool.Database", agent: str, *, as_json: bool) -> None:
        self._database = database
        self._agent = agent
        self._as_json = as_json
        self.card: cards.Card | None = None

    async def turn(self, message: str, *, wait: bool = True) -> int:
        """Says it, and tells what comes of it; the exit code. `wait`: until the replays of what is proposed end."""
        from pocketlet.learning import chat
        from pocketlet.surfaces.cli import attending

        if not await chat.exists(self._database, self._agent):
            output.note(
                f"There is no agent {self._agent}: an empty one is made. "
                f"`pocketlet agent remove {self._agent}` takes it away."
            )
        run = await chat.say(self._database, self._agent, message, model=settings.read().model)
        async with attending.Attendant(self._database) as attendant:
            telling = asyncio.ensure_future(self._tell(run))
            try:
                await attendant.rest(run)
                code = await telling
            finally:
                telling.cancel()
            card = await self._look(run)
            if card is None:
                return code
            self.card = card
            if card.pending and wait:
                output.note(f"Replays of revision {card.revision} are under way.")
            while self.card.pending and wait:
                await attendant.rest(*self.card.pending)
                self.card = await self._look(run) or card
        if not self._as_json or self.card is not card:
            self._show(self.card)
        return code

    async def _look(self, run: int) -> "cards.Card | None":
        from pocketlet.learning import cards

        async with self._database.api() as conn:
            return await cards.of_run(conn, run)

    async def _tell(self, run: int) -> int:
        """The events of a turn, as they come: all of them as JSON, else the reply and what went wrong."""
        from pocketlet.learning import chat

        code = 0
        async for event in chat.events(self._database, run):
            if event.kind == "failed":
                code = event.data["exit_code"] or 1
            if self._as_json:
                self._write(event.kind, event.data)
            elif event.kind == "reply":
                output.line(event.data["text"])
            elif event.kind == "failed":
                said = event.data["error"] or f"The turn was {event.data['state']}."
                output.failure("", said, event.data["hint"] or f"`pocketlet show {run}`.", as_json=False)
        return code

    def _show(self, card: "cards.Card") -> None:
        if self._as_json:
            self._write("card", card.record())
            return
        output.line()
        output.line(f"Change card: revision {card.revision}, {card.state}. {card.why}".rstrip())
        output.line(card.diff)
        for finding in card.findings:
            output.line(f"  note: {finding}")
        if card.pending:
            output.line(f"  {len(card.pending)} replays are under way")
        if card.counts:
            output.line(f"  replays: {output.pairs(dict(card.counts))}")
        if card.commands:
            output.line(" or ".join(f"`{command}`" for command in card.commands.values()))

    async def act(self, verb: str) -> None:
        """Does to the last card what the owner says. Raises errors.Conflict."""
        from pocketlet.learning import cards

        if self.card is None:
            async with self._database.api() as conn:
                self.card = await cards.last(conn, self._agent)
        if self.card is None:
            raise errors.Conflict("There is no card yet.", hint="Ask for a change first.")
        await {"accept": cards.accept, "discard": cards.discard, "undo": cards.undo}[verb](self._database, self.card)
        self.card = await self._look(self.card.run) or self.card
        told = {"agent": self._agent, "revision": self.card.revision, "parent": self.card.parent}
        if self._as_json:
            self._write(verb, told)
        else:
            output.line(DONE[verb].format_map(told))

    def failed(self, kind: str, message: str, hint: str) -> None:
        """Tells an error, after which the talk goes on."""
        if self._as_json:
            self._write("error", {"kind": kind, "message": message, "hint": hint})
        else:
            output.failure(kind, message, hint, as_json=False)

    def _write(self, event: str, data: Mapping[str, Any]) -> None:
        click.echo(json.dumps({"event": event, **data}))
