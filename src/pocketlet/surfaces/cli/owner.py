"""`pocketlet owner list | add | password | remove | give`."""

import sys
from dataclasses import asdict

import click

from pocketlet import errors
from pocketlet.surfaces.cli import output, session


@click.group()
def owner() -> None:
    """Say who sees which agents, and how they log in."""


@owner.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the owners. With more than one, everybody logs in."""
    from pocketlet.platform import owners

    found = session.api(owners.everyone)
    if as_json:
        output.document({"owners": [asdict(one) for one in found]})
        return
    rows = [(one.name, "yes" if one.keeper else "", "yes" if one.has_password else "") for one in found]
    output.table(("owner", "keeps the installation", "password"), rows)


@owner.command()
@click.argument("name")
@output.as_json
def add(name: str, *, as_json: bool) -> None:
    """Add an owner, who sees her own agents alone."""
    from pocketlet.platform import owners

    session.api(owners.add, name)
    if as_json:
        output.document({"owner": name, "added": True})
        return
    output.line(f"{name} is an owner. From now on everybody logs in.")
    output.note(f"Next: `pocketlet open --owner {name} --no-browser` prints an address to log in with.")


@owner.command()
@click.argument("name")
@output.as_json
def password(name: str, *, as_json: bool) -> None:
    """Set a password, read from stdin or a hidden prompt. All browsers of the owner are logged out."""
    from pocketlet.platform import owners

    if sys.stdin.isatty():
        value = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        value = sys.stdin.readline(1001).rstrip("\r\n")
    if not value:
        raise errors.BadInput("The password is empty.", hint=f"Type it, or pipe it in: owner password {name} < FILE")
    session.api(owners.set_password, name, value)
    output.say({"owner": name, "password": True}, f"{name} logs in with this password from now on.", as_json=as_json)


@owner.command()
@click.argument("name")
@click.option("--no-login", is_flag=True, help="Also if nobody logs in any more afterwards.")
@output.as_json
def remove(name: str, *, no_login: bool, as_json: bool) -> None:
    """Remove an owner who has no agents, with her sessions and tokens.

    The last one beside you stays until you have a password, or say --no-login: without either, pages ask for no login.
    """
    from pocketlet.platform import owners

    session.api(owners.remove, name, no_login=no_login)
    output.say({"owner": name, "removed": True}, f"{name} is removed.", as_json=as_json)


@owner.command()
@click.argument("agent")
@click.argument("name")
@output.as_json
def give(agent: str, name: str, *, as_json: bool) -> None:
    """Give an agent to an owner, with all its runs, memories and questions."""
    from pocketlet.platform import owners

    session.api(owners.give, agent, name)
    output.say({"agent": agent, "owner": name}, f"{agent} is {name}'s now.", as_json=as_json)
