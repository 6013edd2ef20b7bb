"""`pocketlet connect test | authorize`: what asks the service itself."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet import settings
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool

WAIT_SECONDS = 900.0


@click.command()
@click.argument("name")
@click.option("--path", default="", metavar="/PATH", help="Ask for this; it has to be allowed.")
@output.as_json
def test(name: str, *, path: str, as_json: bool) -> None:
    """Make up to three of the allowed GETs, and show status and size.

    Those without parameters in their path are tried; nothing of what comes back is shown.
    """
    from pocketlet.platform import connection_calls

    output.note(f"Asking {name}.")
    rows = session.call(connection_calls.tried, settings.read().home, name, path)
    worked = any(row["status"] < 400 for row in rows)
    if as_json:
        output.document({"connection": name, "ok": worked, "calls": rows})
    else:
        cells = [[row["call"], row["status"], _size(row), row["type"]] for row in rows]
        output.table(("call", "status", "bytes", "type"), cells)
    if not worked:
        click.get_current_context().exit(1)


def _size(row: dict[str, Any]) -> str:
    return f"{row['bytes']} (cut off: `connect add --max-bytes` takes more)" if row["truncated"] else str(row["bytes"])


@click.command()
@click.argument("name")
@click.option("--code", default="", metavar="CODE|URL", help="Finish with what the service gave: a code, or the URL.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Where the browser comes back to; any free one.")
@click.option(
    "--redirect-uri", default="", metavar="URL", help="Do not listen: the service sends you there; then --code."
)
@output.as_json
def authorize(name: str, *, as_json: bool, **options: Any) -> None:
    """Let Pocketlet act for you at a service (OAuth2 authorization code with PKCE).

    Shows a URL for your browser, and waits until the browser comes back to this machine. If it can't (it runs
    elsewhere), give the URL that it ends at with --code.
    """
    url = session.call(_authorize, name, options)
    document = {"connection": name, "authorized": not url, "url": url or None}
    output.say(document, url or f"{name} is authorized.", as_json=as_json)
    if url:
        output.note(f"Next: open it, then `pocketlet connect authorize {name} --code URL`")


async def _authorize(database: "pool.Database", name: str, options: dict[str, Any]) -> str:
    from pocketlet.platform.gateways import redirection

    if options["code"]:
        await _finish(database, name, options["code"])
        return ""
    if options["redirect_uri"]:
        return await _begin(database, name, options["redirect_uri"])
    async with redirection.listening(options["port"]) as listener:
        url = await _begin(database, name, listener.redirect_uri)
        output.note(f"Open this in your browser:\n{url}")
        await _finish(database, name, await listener.wait(WAIT_SECONDS))
    return ""


async def _begin(database: "pool.Database", name: str, redirect_uri: str) -> str:
    from pocketlet.platform import authorization

    async with database.api() as conn:
        return await authorization.begin(conn, _key(), name, redirect_uri)


async def _finish(database: "pool.Database", name: str, answer: str) -> None:
    from pocketlet.platform import authorization

    async with database.api() as conn:
        await authorization.finish(conn, _key(), name, answer)


def _key() -> bytes:
    from pocketlet.platform import vault

    return vault.key(settings.read().home)
