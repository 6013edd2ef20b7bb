"""Tools that act outside. Each call is an effect: decided on, asked about, sent once; its result is outside text."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.agents import effects, mailing, mcp_tools, standing, toolbox
from pocketlet.db import pool
from pocketlet.platform import compose, connections, vault
from pocketlet.platform.gateways import wire
from pocketlet.policy import calls, core

MOST_TOLD = 4_000  # characters of the connections that a briefing shows
SHOWN = 8_000  # characters of a reply that a run reads
_UNFIT = re.compile("[\x00\ud800-\udfff]")
KEPT = ("content-type", "etag", "last-modified", "link", "location", "retry-after")


async def _send_mail(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    sender = context.sender
    async with context.database.api() as conn:
        effect = await effects.find(conn, context.run.id, context.seq)
        if effect is None:
            mail = mailing.Mail(compose.address(args["to"]), args["subject"], args["body"])
            intent = sender.intent(context.run, context.seq, mail)
            known = await standing.of_run(conn, context.run, sender, context.playbook)
            effect = await effects.plan(conn, context.run, context.seq, intent, known)
    return await act(context, effect, sender)


SEND_MAIL = toolbox.Tool(
    "send_mail",
    "Sends a plain-text mail from the agent's own address. It may wait for the owner's approval.",
    _send_mail,
    {
        "to": toolbox.text("One address."),
        "subject": toolbox.text("The subject."),
        "body": toolbox.text("The whole text, with greeting and signature."),
    },
)


class Requests:
    """Carries HTTP requests (effects.Carrier): the bytes that were approved, with the credentials added by the wire."""

    def __init__(
        self, database: pool.Database, home: Path, agent: int, connection: connections.Connection, instance: str = ""
    ) -> None:
        self._database = database
        self._home = home
        self._agent = agent
        self._instance = instance
        self._connection = connection

    async def carry(self, effect: effects.Effect) -> str:
        """Sends it; the reply as the run reads it, if the service says that it was done.

        Raises errors.ServiceUnreachable, errors.ServiceUncertain (also for its own failure), errors.EgressRefused,
        errors.Rejected.
        """
        reply = await self.send(json.loads(effect.message or b"{}"), key=effects.key(effect, self._instance))
        if reply.status >= 500:
            raise errors.ServiceUncertain(f"The service failed: {said(reply)}")
        if reply.status >= 400 or reply.status in (307, 308):  # 303 and the like say that it was done
            raise errors.Rejected(said(reply))
        return said(reply)

    async def look(self, effect: effects.Effect) -> bool | None:
        """Nobody can know: what a service did is asked of the owner."""
        return None

    async def send(self, asked: Mapping[str, Any], *, key: str) -> wire.Reply:
        """One request as `canonical` wrote it down. `key` is sent if the operation has a header for one."""
        async with self._database.api() as conn:
            connection = await self._now(conn)
            operation = connections.matching(connection, asked["method"], asked["path"])
            moved = connection.id != self._connection.id or connection.base_url != asked["base"]
            if operation is None or moved:
                raise errors.EgressRefused("The connection no longer allows this request. Nothing was sent.")
            await connections.take(conn, connection)
        request = _request(asked, operation, connection, key)
        sealing_key = vault.key(self._home)
        while True:
            async with self._database.api() as conn:
                secrets, scrub = await connections.credentials(conn, sealing_key, connection, self._agent)
            reply = await wire.send(connections.target(connection), request, secrets, scrub)
            if reply.status != 401:
                return reply
            async with self._database.api() as conn:
                if not await connections.rejected(conn, sealing_key, connection, secrets):
                    return reply

    async def _now(self, conn: pool.Conn) -> connections.Connection:
        """The connection as the owner wants it now. Raises errors.EgressRefused."""
        try:
            return await connections.get(conn, self._connection.name)
        except errors.NotFound as error:
            raise errors.EgressRefused("The connection was removed. Nothing was sent.") from error


def _request(
    asked: Mapping[str, Any], operation: connections.Operation, connection: connections.Connection, key: str
) -> wire.Request:
    headers = {"accept": "application/json, text/*;q=0.9, */*;q=0.1", **connection.headers}
    if asked["body"]:
        headers["content-type"] = asked["type"]
    if operation.key_header:
        headers[operation.key_header] = key
    query = tuple((name, value) for name, value in asked["query"])
    return wire.Request(asked["method"], asked["path"], query, headers, asked["body"].encode() or None)


def field_names(asked: Mapping[str, Any], connection: connections.Connection) -> list[str]:
    """The header fields that a request goes with, in small letters and by name alone: their values may be secret."""
    operation = connections.matching(connection, asked["method"], asked["path"])
    keyed = [operation.key_header] if operation and operation.key_header else []
    places = [place.name if place.kind == "header" else "authorization" for place in connection.auth.places]
    secret = [] if connection.auth.kind in ("none", "query") else places or ["authorization"]
    typed = ["content-type"] if asked["body"] else []
    return sorted({name.lower() for name in ("accept", *connection.headers, *typed, *keyed, *secret)})


def said(reply: wire.Reply) -> str:
    """A reply as a run reads it: status, a few headers, and the text as far as it goes."""
    lines = [f"HTTP {reply.status}", *(f"{name}: {reply.headers[name]}" for name in KEPT if name in reply.headers)]
    text = reply.body.decode("utf-8", "replace").replace("\x00", "")
    cut = "\n(cut off)" if reply.truncated or len(text) > SHOWN else ""
    return "\n".join(lines) + f"\n\n{text[:SHOWN]}{cut}"


def canonical(args: Mapping[str, Any]) -> dict[str, Any]:
    """The request as it is decided on, shown and sent. Raises errors.BadInput."""
    method, path = str(args["method"]).upper(), str(args["path"])
    query = [[str(name), _value(value)] for name, value in dict(args.get("query", {})).items()]
    body, kind = args.get("body"), "application/json"
    text = pool.canonical(body) if body is not None else ""
    if "text" in args:
        if body is not None:
            raise errors.BadInput("Give `body` (JSON) or `text`, not both.")
        text, kind = str(args["text"]), "text/plain; charset=utf-8"
    asked = {"method": method, "path": path, "query": query, "body": text, "type": kind if text else ""}
    if "\\u0000" in json.dumps(body) or any(
        _UNFIT.search(part) for part in (path, text, *(part for pair in query for part in pair))
    ):
        raise errors.BadInput("The request holds a character that can't be sent: NUL, or half of a pair.")
    return asked


def _value(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise errors.BadInput("A value of `query` is a text, a number, true or false.")


async def _http(context: toolbox.Context, args: Mapping[str, Any]) -> toolbox.Outcome:
    name = str(args["connection"])
    async with context.database.api() as conn:
        mine = {item.name: item for item in await connections.of_agent(conn, context.run.agent_id)}
        connection = mine.get(name)
        overdue = await connections.overdue(conn, connection, context.run.agent_id) if connection else ""
    asked = canonical(args) | {"connection": name, "base": connection.base_url if connection else ""}
    if connection and (taken := connections.reserved(connection) & {pair[0] for pair in asked["query"]}):
        raise errors.BadInput(f"The wire adds {', '.join(sorted(taken))} itself: leave it out.")
    operation = connections.matching(connection, asked["method"], asked["path"]) if connection else None
    effect = await _planned(context, _intent(asked, operation, overdue))
    if connection is None:
        return toolbox.Outcome(error=f"blocked: {effect.response if effect else 'there is no such connection'}")
    carrier = Requests(context.database, context.home, context.run.agent_id, connection, context.sender.instance)
    if effect is not None:
        return await act(context, effect, carrier)
    try:
        return toolbox.Outcome(said(await carrier.send(asked, key="")), label="outside")
    except (errors.Refused, errors.ServiceUnreachable) as error:
        return toolbox.refusal(error)


async def _planned(context: toolbox.Context, intent: effects.Intent) -> effects.Effect | None:
    """The effect of this step, decided on; None for a read that is allowed, which is written down and not planned."""
    run = context.run
    async with context.database.api() as conn:
        if effect := await effects.find(conn, run.id, context.seq):
            return effect
        known = await standing.of_run(conn, run, context.sender, context.playbook)
        if intent.call.granted:  # the owner listed this operation for the agent: it is no place that a text chose
            known = replace(known, bound=known.bound | frozenset(intent.call.destinations))
        decision = core.decide(intent.call, known)
        if decision.verdict == "allow" and intent.effect_class == "read":
            await effects.record(conn, run, context.seq, intent, decision)
            return None
        return await effects.plan(conn, run, context.seq, intent, known)


async def _mcp(context: toolbox.Context, call: mcp_tools.Prepared) -> toolbox.Outcome:
    """A call of a reviewed tool of an MCP server, decided on like every other."""
    effect = await _planned(context, call.intent())
    if effect is None:
        return await mcp_tools.read(context, call)
    return await act(context, effect, mcp_tools.Carrier(context.database, context.home, context.run.agent_id))


def _intent(asked: Mapping[str, Any], operation: connections.Operation | None, overdue: str) -> effects.Intent:
    effect_class, harm = (operation.effect, operation.harm) if operation else ("unsafe", "irreversible")
    carried = () if operation and operation.open else _carried(asked, operation)
    if effect_class == "read" and asked["body"]:
        carried = (*carried, asked["body"])  # else a read would carry anything out
    where = (
        f"{asked['connection']} ({asked['base']}): {asked['method']} {operation.path if operation else asked['path']}"
    )
    call = calls.Call(
        calls.Sink("http", harm),
        (calls.Destination("http", where),),
        tuple(mcp_tools.texts(json.loads(asked["body"]) if asked["type"] == "application/json" else asked["body"])),
        carried,
        granted=operation is not None,
        overdue=overdue,
    )
    return effects.Intent("http", effect_class, call, where, asked, pool.canonical(asked).encode())


def _carried(asked: Mapping[str, Any], operation: connections.Operation | None) -> tuple[str, ...]:
    """What a request says beside its fixed path: the values of the template, and of the query."""
    inside = connections.values(operation, asked["path"]).values() if operation else [asked["path"]]
    return (
        *inside,
        *(text for pair in asked["query"] for text in pair if text not in (operation.query if operation else ())),
    )


async def offers(database: pool.Database, agent: int, names: Sequence[str]) -> dict[str, toolbox.Tool]:
    """What the owner connected this agent to: `http`, if agent.toml names it, and the tools of its MCP servers."""
    async with database.api() as conn:
        mine = [item for item in await connections.of_agent(conn, agent) if item.kind == "http"]
    http = {"http": _http_tool(mine)} if mine and "http" in names else {}
    return http | dict(await mcp_tools.tools(database, agent, _mcp))


def _http_tool(mine: Sequence[connections.Connection]) -> toolbox.Tool:
    told = "\n".join(_described(connection) for connection in mine)
    return toolbox.Tool(
        "http",
        "Calls a service over one of the owner's connections. What changes something there may wait for approval.\n"
        + told[:MOST_TOLD],
        _http,
        {
            "connection": toolbox.text("Its name.", enum=[connection.name for connection in mine]),
            "method": toolbox.text("The method.", enum=list(connections.METHODS)),
            "path": toolbox.text("The path below the connection's address, such as /orders/7."),
        },
        {
            "query": {"type": "object", "description": "Parameters of the query."},
            "body": {"type": "object", "description": "A JSON body."},
            "text": toolbox.text("A body of plain text."),
        },
    )


def _described(connection: connections.Connection) -> str:
    """A connection as a model is told of it: what it allows, and the owner's notes."""
    allowed = "; ".join(operation.line for operation in connection.allow)
    return f"- {connection.name}: {allowed}" + (f"\n  {connection.notes}" if connection.notes else "")


async def orphaned(context: toolbox.Context) -> toolbox.Outcome | None:
    """What becomes of an effect whose tool the owner took away meanwhile; None if this step asked for none.

    What may have been sent is asked about; what surely was not is given up.
    """
    async with context.database.api() as conn:
        effect = await effects.find(conn, context.run.id, context.seq)
    if effect is None or effect.state in ("succeeded", "captured", "blocked"):
        return None
    if effect.state == "dispatching":
        await effects.in_doubt(context.database, context.run, effect)
        return toolbox.Outcome(parks=True)
    if effect.waits and effect.state == "unknown":
        return toolbox.Outcome(parks=True)

    async def commit(conn: pool.Conn) -> None:
        if effect.state in ("approved", "planned"):
            await effects.give_up(conn, context.run, effect, "the tool or connection is gone")

    return toolbox.Outcome("failed: the owner took the tool or the connection away. Nothing was sent.", commit=commit)


async def act(context: toolbox.Context, effect: effects.Effect, carrier: effects.Carrier) -> toolbox.Outcome:
    """The effect as it stands now: wait, send, or say how it ended."""
    if effect.waits:
        return toolbox.Outcome(parks=True)
    if effect.state in ("approved", "dispatching"):
        return await _deliver(context, effect, carrier)
    mail = effect.kind == "mail"
    match effect.state:
        case "blocked":
            text = f"blocked: {effect.rule}: {effect.response} Nothing was sent."
        case "captured" | "succeeded":
            text = f"sent to {effect.destination}" if mail else effect.response or "done"
        case "refused":
            reason = f": {effect.because.rstrip('.')}" if effect.because else ""
            text = f"refused by the owner{reason}. Nothing was sent."
        case "unknown":
            what = "the mail was sent" if mail else "it was done"
            text = f"it is not known whether {what}; the owner does not want it sent again"
        case _:
            text = f"failed: {effect.response or 'it was not sent'}"
    return toolbox.Outcome(text, label="playbook" if mail else "outside")


async def _deliver(context: toolbox.Context, effect: effects.Effect, carrier: effects.Carrier) -> toolbox.Outcome:
    async def commit(conn: pool.Conn) -> None:
        await effects.move(conn, context.run, effect, ("approved", "dispatching"), "succeeded", said=answer)

    async def failed(conn: pool.Conn) -> None:
        await effects.move(conn, context.run, effect, ("approved", "dispatching"), "failed", said=reason)

    mail, changed = effect.kind == "mail", effect.request if effect.edited else None
    try:
        answer = await effects.deliver(context.database, context.run, effect, carrier)
    except (errors.Rejected, errors.Refused, errors.EgressRefused, errors.ServiceUnreachable) as error:
        reason = str(error)
        return toolbox.Outcome(f"failed: {reason}", commit=failed, request=changed, label="outside")
    if answer is None:
        return toolbox.Outcome(parks=True)
    text = f"sent to {effect.destination}" if mail else answer
    text += " (the owner changed it before it went)" if changed else ""
    return toolbox.Outcome(text, commit=commit, request=changed, label="playbook" if mail else "outside")
