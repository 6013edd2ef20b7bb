"""`pocketlet channel add | list | show | test | remove`: how you are told of what happens."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from pocketlet import settings
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool

#: As in platform/channels/definitions.py, which the help need not import.
TELEGRAM = "https://api.telegram.org"
ABOUT = "problems, approvals, results"

Command = Callable[..., None]


def _choices(command: Command) -> Command:
    """The options of every kind of channel."""
    options = (
        click.option("--name", help="What to call it; else its kind."),
        click.option("--about", default="problems,approvals", metavar="KINDS", help=f"What it tells: {ABOUT}."),
        click.option("--urgent", default="", metavar="KINDS", help="Those of them that quiet hours do not hold back."),
        click.option("--quiet", metavar="22:00-07:00", help="Hours in which it tells nothing."),
        click.option("--zone", metavar="ZONE", help="Whose clocks these are, such as Europe/Berlin."),
        output.as_json,
    )
    for option in reversed(options):
        command = option(command)
    return command


pinned: Callable[[Command], Command] = click.option(
    "--pin", "pinned", multiple=True, metavar="ADDRESS", help="The address or network of a server of your own."
)


@click.group()
def channel() -> None:
    """Say how you are told of problems, questions and results: mail, webhook, Telegram."""


@channel.group()
def add() -> None:
    """Add a channel."""


@add.command()
@click.argument("address")
@click.option("--from", "sender", default="", metavar="ADDRESS", help="Whom it comes from, and where answers go.")
@_choices
def mail(address: str, *, sender: str, as_json: bool, **more: str | None) -> None:
    """Be told by mail, over the mail server that agents use, too."""
    _add("mail", more, as_json=as_json, address=address, sender=sender)


@add.command()
@click.argument("url")
@click.option("--secret", metavar="NAME", help="The sealed signing key, whsec_…; without one nothing is signed.")
@pinned
@_choices
def webhook(url: str, *, secret: str | None, pinned: tuple[str, ...], as_json: bool, **more: str | None) -> None:
    """Be told by a POST of JSON, signed as Standard Webhooks says."""
    _add("webhook", more, as_json=as_json, address=url, secret=secret, pinned=pinned)
    if not secret and not as_json:
        output.note("Without --secret NAME the receiver can't know who is calling.")


@add.command()
@click.option("--chat", required=True, metavar="ID", help="The id of your private chat with the bot.")
@click.option("--token-secret", "secret", required=True, metavar="NAME", help="The sealed token of the bot.")
@click.option("--base", "base_url", default=TELEGRAM, metavar="URL", help="A server that speaks the same API.")
@pinned
@_choices
def telegram(
    *, chat: str, secret: str, base_url: str, pinned: tuple[str, ...], as_json: bool, **more: str | None
) -> None:
    """Be told by a bot in a private chat, where you can answer, and write to your agents' managers."""
    _add("telegram", more, as_json=as_json, address=chat, secret=secret, base_url=base_url, pinned=pinned)


def _add(kind: str, more: dict[str, str | None], *, as_json: bool, **values: Any) -> None:
    from pocketlet.platform.channels import definitions

    draft = definitions.Definition(
        name=more["name"] or "",
        kind=kind,
        about=definitions.kinds(_names(more["about"])),
        urgent=definitions.kinds(_names(more["urgent"])),
        quiet=definitions.hours(more["quiet"] or "", more["zone"] or ""),
        **values,
    )
    made = definitions.document(session.api(definitions.add, draft))
    if as_json:
        output.document(made)
        return
    output.line(f"The channel {made['channel']} tells you of {', '.join(made['about'])}.")
    output.note(f"Next: `pocketlet channel test {made['channel']}` sends a first message.")


def _names(text: str | None) -> Sequence[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


@channel.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the channels."""
    from pocketlet.platform.channels import definitions

    found = [definitions.document(one) for one in session.api(definitions.everything)]
    if as_json:
        output.document({"channels": found})
        return
    rows = [[row["channel"], row["kind"], row["address"], ", ".join(row["about"]), _hours(row)] for row in found]
    if rows:
        output.table(("channel", "kind", "where", "tells", "quiet"), rows)
    else:
        output.note("There are none: `pocketlet channel add mail ADDRESS` adds one.")


def _hours(row: dict[str, Any]) -> str:
    return f"{row['quiet']} {row['zone']}" if row["quiet"] else ""


@channel.command()
@click.argument("name")
@output.as_json
def show(name: str, *, as_json: bool) -> None:
    """Show a channel and its last messages."""
    found = session.api(_show, name)
    if as_json:
        output.document(found)
        return
    for key in ("kind", "address", "base_url", "pinned", "secret", "sender", "about", "urgent", "failures"):
        value: Any = found[key]
        if value:
            listed = key in ("pinned", "about", "urgent")
            output.line(f"{key:<9} {', '.join(value) if listed else value}")
    if found["quiet"]:
        output.line(f"quiet     {_hours(found)}")
    for row in found["messages"]:
        output.line(f"{output.when(row['created_at'])}  {row['state']:<11} {row['title']}")


async def _show(conn: "pool.Conn", name: str) -> dict[str, Any]:
    from pocketlet.agents import telling
    from pocketlet.platform.channels import definitions

    found = await definitions.get(conn, name)
    return definitions.document(found) | {"messages": await telling.recent(conn, found)}


@channel.command()
@click.argument("name")
@output.as_json
def test(name: str, *, as_json: bool) -> None:
    """Send a message now, quiet hours or not."""
    found = session.call(_test, name)
    if as_json:
        output.document(found)
    else:
        output.line(f"The message was taken on {name}.")


async def _test(database: "pool.Database", name: str) -> dict[str, Any]:
    from pocketlet.agents import duties, telling

    return await telling.test(database, await duties.post(database, settings.read()), name)


@channel.command()
@click.argument("name")
@output.as_json
def remove(name: str, *, as_json: bool) -> None:
    """Remove a channel, and the record of what was told on it; its secret stays."""
    from pocketlet.platform.channels import definitions

    session.api(definitions.remove, name)
    if as_json:
        output.document({"channel": name, "removed": True})
    else:
        output.line(f"{name} is removed.")
