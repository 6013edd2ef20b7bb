"""What `pocketlet connect add` is told, as a draft; and a connection as a person reads it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketlet import errors
from pocketlet.surfaces.cli import output

if TYPE_CHECKING:
    from pocketlet.platform import connections

FETCH_SECONDS = 60.0


async def made(name: str, options: dict[str, Any]) -> "connections.Draft":
    """The draft that the options of `connect add` describe, checked. Raises errors.BadInput, errors.Unreachable."""
    from dataclasses import replace

    from pocketlet.platform import connection_changes, connection_login, connections

    if not connections.NAME.fullmatch(name):
        raise errors.BadInput(
            f"{name!r} is not a name: use a small letter, then small letters, digits, - and _, at most 31."
        )
    allow = tuple(connections.operation(text) for text in options["allow"])
    draft = await _from_source(name, options, allow)
    caps: dict[str, Any] = {
        key: options[key] for key in ("max_bytes", "seconds", "per_day") if options[key] is not None
    }
    if options["auth"] or options["secret"] or options["client_id"]:
        caps["auth"] = connection_login.auth(name, options, draft.auth)
    return connection_changes.checked(replace(draft, notes=options["note"], **caps))


async def _from_source(
    name: str, options: dict[str, Any], allow: "tuple[connections.Operation, ...]"
) -> "connections.Draft":
    from dataclasses import replace

    from pocketlet.platform import connections, curl, openapi
    from pocketlet.platform.gateways import addresses

    pinned = tuple(options["pin"])
    addresses.check_pins(pinned)
    if options["curl"]:
        draft = curl.draft(_text(options["curl"]), name, pinned)
        lines = {one.line for one in allow}
        return replace(draft, allow=(*(one for one in draft.allow if one.line not in lines), *allow))
    if options["openapi"]:
        place = options["openapi"]
        is_url = place.startswith(("https://", "http://"))
        wanted = openapi.Wanted(
            name,
            base_url=options["base_url"],
            source=place if is_url else "",
            allow=allow,
            only=options["only"],
            client_id=options["client_id"],
            scopes=tuple(options["scope"]),
            pinned=pinned,
        )
        text = await _fetched(place, pinned) if is_url else _file(place)
        return openapi.draft(text, wanted)
    if options["base_url"]:
        return connections.Draft(name, options["base_url"], allow=allow, pinned=pinned)
    raise errors.BadInput("What is the service?", hint="Give --openapi FILE or URL, --curl 'curl …' or --base-url URL.")


def _text(given: str) -> str:
    """A command; `-` reads it from stdin, where it stays out of the shell's history and the list of processes."""
    return sys.stdin.read() if given == "-" else given


def _file(given: str) -> bytes:
    from pocketlet.platform import openapi

    if given == "-":
        return sys.stdin.buffer.read(openapi.MOST_BYTES + 1)
    with Path(given).open("rb") as file:
        return file.read(openapi.MOST_BYTES + 1)


async def _fetched(url: str, pinned: tuple[str, ...]) -> bytes:
    """The document at a URL, through the wire. Raises errors.BadInput if it is not there."""
    from urllib.parse import parse_qsl

    from pocketlet.platform import oauth, openapi
    from pocketlet.platform.gateways import addresses, wire

    found = addresses.host_of(url, inner=bool(pinned))
    path, _, query = found.target.partition("?")
    target = wire.Target(oauth.origin(found), pinned, openapi.MOST_BYTES, FETCH_SECONDS)
    reply = await wire.send(target, wire.Request("GET", path, tuple(parse_qsl(query, keep_blank_values=True))))
    if reply.location:
        raise errors.BadInput(
            f"The document is elsewhere: {reply.location!r:.300}.", hint="If you trust that place, give its URL."
        )
    if reply.status != 200 or reply.truncated:
        raise errors.BadInput(
            f"The document can't be read: {'it is too large' if reply.truncated else f'status {reply.status}'}."
        )
    return reply.body


def tell(found: "connections.Connection | connections.Draft") -> None:
    """All of a connection, for a person."""
    output.line(f"{found.name}: {found.base_url}")
    for line in _facts(found):
        output.line(f"  {line}")
    output.line("  allowed   " + ("" if found.allow else "nothing"))
    for one in found.allow:
        output.line(f"    {operation(one)}")
    if found.deny:
        output.line("  denied, whatever is allowed besides")
        for one in found.deny:
            output.line(f"    {one.line}")
    if found.notes:
        output.line("  notes")
        for line in found.notes.splitlines():
            output.line(f"    {line}")


def _facts(found: "connections.Connection | connections.Draft") -> list[str]:
    """Where it goes and how, in lines."""
    lines = [f"pinned    {', '.join(found.pinned)}"] if found.pinned else []
    lines += [f"login     {line}" for line in _login(found.auth)]
    lines += [f"header    {name}: {value}" for name, value in found.headers.items()]
    cap = "no cap" if found.per_day is None else f"{found.per_day} calls"
    return [*lines, f"caps      {found.max_bytes} bytes and {found.seconds:g} s a call, {cap} a day"]


def operation(one: "connections.Operation") -> str:
    """An operation with what it means, in a line."""
    facts = [one.effect] + ([] if one.harm == "read" else [one.harm])
    facts += [f"key in {one.key_header}"] if one.key_header else []
    facts += ["free text"] if one.open else []
    facts += [f"query {', '.join(one.query)}"] if one.query else []
    return f"{one.line}  ({'; '.join(facts)})"


def _login(auth: "connections.Auth") -> list[str]:
    client = auth.client
    if client is not None:
        lines = [
            f"{auth.kind}, client {client.client_id}, secret {client.secret or 'none'}",
            f"token {client.token_url}",
        ]
        lines += [f"authorize {client.authorize_url}"] if client.authorize_url else []
        return lines + ([f"scopes {' '.join(client.scopes)}"] if client.scopes else [])
    return [
        f"{place.kind}{f' {place.name}' if place.name else ''}{f' after {place.prefix!r}' if place.prefix else ''}, "
        f"secret {place.secret}"
        for place in auth.places
    ] or ["none"]
