"""`pocketlet up`: works on runs until it is told to stop."""

import asyncio
import json
import sys

import click


@click.command(help="Starts Postgres, the worker and the listeners; runs until Ctrl-C.")
@click.option("--role", type=click.Choice(["up", "worker"]), default="up", help="worker: only work on runs.")
@click.option("--attached", is_flag=True, hidden=True, help="Stop when standard input ends.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document once it is running.")
def command(*, role: str, attached: bool, as_json: bool) -> None:
    """The long-running process."""
    from pocketlet import settings
    from pocketlet.surfaces import serve

    def started(up: serve.Up) -> None:
        if as_json:
            mail = f"smtp://127.0.0.1:{up.mail_port}" if up.mail_port else None
            url = f"http://127.0.0.1:{up.port}" if up.port else None
            click.echo(json.dumps({"role": up.role, "home": up.home, "mail": mail, "url": url}))
        else:
            listens = f", mail for the agents at smtp://127.0.0.1:{up.mail_port}" if up.mail_port else ""
            listens += f", webhooks and pages at http://127.0.0.1:{up.port}" if up.port else ""
            click.echo(f"Pocketlet works in {up.home}{listens}. Ctrl-C stops it; nothing is lost.")
        sys.stdout.flush()

    asyncio.run(serve.serve(settings.read(), role, started, attached=attached))
    click.echo("Stopped.", err=True)
