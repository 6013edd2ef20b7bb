"""`pocketlet up`: works on runs until it is told to stop."""

import asyncio
import json
import sys

import click


@click.command(help="Starts Postgres, the worker and the listeners; runs until Ctrl-C.")
@click.option("--role", type=click.Choice(["up", "worker"]), default="up", help="worker: only work on runs.")
@click.option("--no-open", is_flag=True, help="Do not open the pages in a browser.")
@click.option("--attached", is_flag=True, hidden=True, help="Stop when standard input ends.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document once it is running.")
def command(*, role: str, no_open: bool, attached: bool, as_json: bool) -> None:
    """The long-running process."""
    from pocketlet import settings
    from pocketlet.surfaces import serve
    from pocketlet.surfaces.cli import opening

    config = settings.read()
    if not config.database_url and not (config.home / "postgres").exists():
        click.echo(f"First start: Postgres is set up in {config.home}. This takes some seconds.", err=True)

    def started(up: serve.Up) -> None:
        url = config.url or (f"http://127.0.0.1:{up.port}" if up.port else None)
        if as_json:
            mail = f"smtp://127.0.0.1:{up.mail_port}" if up.mail_port else None
            local = f"http://127.0.0.1:{up.port}" if up.port else None
            click.echo(json.dumps({"role": up.role, "home": up.home, "mail": mail, "url": local}))
        else:
            listens = f", mail for the agents at smtp://127.0.0.1:{up.mail_port}" if up.mail_port else ""
            listens += f", pages and webhooks at {url}" if url else ""
            click.echo(f"Pocketlet works in {up.home}{listens}. Ctrl-C stops it; nothing is lost.")
            if url and not no_open:
                opening.browse(url)
        sys.stdout.flush()

    asyncio.run(serve.serve(config, role, started, attached=attached))
    click.echo("Stopped.", err=True)
