"""`pocketlet open`: the pages, in a browser that is logged in."""

import sys
import webbrowser
from typing import TYPE_CHECKING

import click

from pocketlet import errors, settings
from pocketlet.surfaces.cli import output, session, token

if TYPE_CHECKING:
    from pocketlet.db import pool


@click.command()
@click.option("--owner", "name", help="Log in as this owner (the first one, if not said).")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@output.as_json
def command(*, name: str | None, no_browser: bool, as_json: bool) -> None:
    """Open the pages in a browser, logged in."""
    url = session.api(_address, name)
    if as_json:
        output.document({"url": url})
        return
    output.line(url)
    output.note("The address is good once, within ten minutes.")
    if not no_browser:
        browse(url)


def browse(url: str) -> bool:
    """Opens a browser, if this machine shows windows and a person is at it; whether one was started."""
    here = settings.provider_environment()
    windows = sys.platform in ("darwin", "win32") or here.get("DISPLAY") or here.get("WAYLAND_DISPLAY")
    return bool(windows and sys.stdout.isatty()) and webbrowser.open(url)


async def _address(conn: "pool.Conn", name: str | None) -> str:
    from pocketlet.platform import owners, queue

    ports = [one["web_port"] for one in await queue.workers(conn) if one["web_port"]]
    base = settings.read().url or (f"http://127.0.0.1:{ports[0]}" if ports else None)
    if base is None:
        raise errors.NotFound("No `pocketlet up` serves pages now.", hint="Start it: `pocketlet up`.")
    return f"{base}/login#code={await owners.new_code(conn, await token.whose(conn, name))}"
