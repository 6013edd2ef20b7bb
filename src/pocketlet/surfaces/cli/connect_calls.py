"""`pocketlet connect test | authorize`: what asks the service itself."""

from typing import TYPE_CHECKING, Any

import click

from pocketlet import errors, settings
from pocketlet.surfaces.cli import output, session

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.platform import connections
    from pocketlet.platform.gateways import wire

WAIT_SECONDS = 900.0
MOST_TESTED = 3


@click.command()
@click.argument("name")
@click.option("--path", default="", metavar="/PATH", help="Ask for this; it has to be allowed.")
@output.as_json
def test(name: str, *, path: str, as_json: bool) -> None:
    """Make up to three of the allowed GETs, and show status and size.

    Those without parameters in their path are tried; nothing of what comes back is shown.
    """
    output.note(f"Asking {name}.")
    rows = session.call(_test, name, path)
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


async def _test(database: "pool.Database", name: str, path: str) -> list[dict[str, Any]]:
    from pocketlet.platform import audit, connections

    async with database.api() as conn:
        found = await connections.get(conn, name)
    paths = [path] if path else [one.path for one in found.allow if one.method == "GET" and "{" not in one.path]
    allowed = [one for one in paths if connections.matching(found, "GET", one) is not None][:MOST_TESTED]
    if not allowed:
        raise errors.Refused(
            f"GET {path} is not allowed." if path else "No GET without a parameter in its path is allowed.",
            hint=f"`pocketlet connect test {name} --path /PATH`, for a path that `connect show {name}` allows.",
        )
    rows = [await _tried(database, found, one) for one in allowed]
    async with database.api() as conn:
        await audit.write(conn, audit.Entry("owner", "connection.test", name, details={"calls": rows}))
    return rows


async def _tried(database: "pool.Database", found: "connections.Connection", path: str) -> dict[str, Any]:
    from pocketlet.platform import connections

    reply, used = await _sent(database, found, path)
    if reply.status == 401:
        async with database.api() as conn:
            again = await connections.rejected(conn, _key(), found, used)
        if again:
            reply, _ = await _sent(database, found, path)
    kind = reply.headers.get("content-type", "").partition(";")[0][:60]
    return {
        "call": f"GET {path}",
        "status": reply.status,
        "bytes": len(reply.body),
        "truncated": reply.truncated,
        "type": kind,
    }


async def _sent(
    database: "pool.Database", found: "connections.Connection", path: str
) -> "tuple[wire.Reply, list[wire.Secret]]":
    from pocketlet.platform import connections
    from pocketlet.platform.gateways import wire

    async with database.api() as conn:
        await connections.take(conn, found)
        secrets, scrub = await connections.credentials(conn, _key(), found, None)
    request = wire.Request("GET", path, headers=dict(found.headers))
    return await wire.send(connections.target(found), request, secrets, scrub), secrets


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
    if as_json:
        output.document(document)
    else:
        output.line(url or f"{name} is authorized.")
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
