"""`pocketlet connect add | list | show | grant | revoke | allow | off | on | remove`; the rest has files of its own."""

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pocketlet import clock, errors, settings
from pocketlet.surfaces.cli import connect_calls, connect_draft, connect_renew, output, session

if TYPE_CHECKING:
    from pocketlet.db import pool
    from pocketlet.platform import connections, secret_needs

KINDS = ("none", "bearer", "basic", "header", "query", "oauth2-client", "oauth2-code")


@click.group()
def connect() -> None:
    """Say which services outside your agents may use, and how."""


@connect.command()
@click.argument("name")
@click.option("--openapi", default="", metavar="FILE|URL", help="An OpenAPI 3 document (- reads stdin): its GETs.")
@click.option("--curl", default="", metavar="COMMAND", help="A curl command that works (- reads stdin): its request.")
@click.option("--base-url", default="", metavar="URL", help="Where the service is; goes before the document's.")
@click.option(
    "--allow", multiple=True, metavar="'METHOD /PATH'", help="Allow this operation, such as 'GET /orders/{id}'."
)
@click.option("--only", default="", metavar="/PATH", help="Of an OpenAPI document, only paths that begin so.")
@click.option("--auth", type=click.Choice(KINDS), help="How to log in.")
@click.option("--secret", default="", metavar="NAME", help="The secret to log in with, by its name in the vault.")
@click.option("--header", default="", metavar="HEADER", help="Of --auth header: where the secret goes.")
@click.option("--prefix", default="", metavar="TEXT", help="Of --auth header: what stands before the secret.")
@click.option("--query", default="", metavar="PARAMETER", help="Of --auth query: where the secret goes.")
@click.option("--token-url", default="", metavar="URL", help="Of OAuth2: where tokens come from.")
@click.option("--authorize-url", default="", metavar="URL", help="Of OAuth2: where you are asked.")
@click.option("--client-id", default="", metavar="ID", help="Of OAuth2: how the service knows Pocketlet.")
@click.option(
    "--client-auth", type=click.Choice(("basic", "body")), default="basic", help="Of OAuth2: where the secret goes."
)
@click.option("--public", is_flag=True, help="Of oauth2-code: there is no client secret.")
@click.option("--scope", multiple=True, metavar="SCOPE", help="Of OAuth2: what to ask for.")
@click.option("--pin", multiple=True, metavar="ADDRESS", help="The address or network of a server of your own.")
@click.option("--max-bytes", type=click.IntRange(1, 20_000_000), help="The most of a reply that is read.")
@click.option("--seconds", type=click.FloatRange(0.1, 300), help="The longest that a call may take.")
@click.option("--per-day", type=click.IntRange(0, 2**31 - 1), help="The most calls in a day (UTC).")
@click.option("--note", default="", metavar="TEXT", help="What agents should know of the service.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def add(name: str, *, yes: bool, as_json: bool, **options: Any) -> None:
    """Propose a connection, show all of it, and make it if you say yes.

    Secrets in a curl command are sealed under names of their own; others are set by `pocketlet secret set`.
    """
    import asyncio

    draft = asyncio.run(connect_draft.made(name, options))
    if not as_json:
        connect_draft.tell(draft)
    for remark in draft.remarks:
        output.note(f"Note: {remark}")
    if not yes and (as_json or not _confirmed(draft)):
        if as_json:
            output.document(_document(draft) | {"added": False})
            click.get_current_context().exit(errors.Refused.exit_code)
        raise errors.Refused("Nothing was added.", hint="Add --yes to the command if this is right.")
    made, missing = session.api(_add, draft)
    if as_json:
        output.document(_document(made) | {"added": True, "sealed": sorted(draft.secrets), "missing": missing})
        return
    output.line(f"{name} is added.")
    for secret in missing:
        output.note(f"Next: `pocketlet secret set {secret}`")
    output.note(f"Next: `pocketlet connect test {name}`, then `pocketlet connect grant {name} AGENT`")


def _confirmed(draft: "connections.Draft") -> bool:
    return sys.stdin.isatty() and click.confirm(f"Add {draft.name}?", err=True)


def _document(found: "connections.Connection | connections.Draft") -> dict[str, Any]:
    from pocketlet.platform import connections

    document = connections.document(found)
    document.pop("id", None)
    remarks = {"remarks": list(found.remarks)} if isinstance(found, connections.Draft) else {}
    return {"connection": document.pop("name"), **document, **remarks}


async def _add(conn: "pool.Conn", draft: "connections.Draft") -> "tuple[connections.Connection, list[str]]":
    from pocketlet.platform import connection_changes, vault

    made = await connection_changes.add(conn, vault.key(settings.read().home), draft)
    known = await vault.names(conn)
    return made, [secret for secret in connection_changes.secrets_of(made.auth) if secret not in known]


@connect.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the connections, and which agents may use them."""
    from pocketlet.platform import connections

    found = session.api(connections.everything)
    if as_json:
        output.document({"connections": [_document(one) | {"agents": agents} for one, agents in found]})
        return
    rows = [
        (one.name, one.base_url, "off" if one.off else "on", len(one.allow), ", ".join(agents)) for one, agents in found
    ]
    output.table(("connection", "service", "switch", "operations", "agents"), rows)
    if not found:
        output.note("There is none yet: `pocketlet connect add NAME --openapi FILE`.")


@connect.command()
@click.argument("name")
@output.as_json
def show(name: str, *, as_json: bool) -> None:
    """Show all of a connection; secrets by their names."""
    found, agents, known, lacks = session.api(_show, name)
    if as_json:
        barred = [asdict(one) for one in lacks]
        output.document(_document(found) | {"agents": agents, "secrets": known, "barred": barred})
        return
    connect_draft.tell(found)
    for secret, is_set in known.items():
        output.line(f"  secret    {secret} is {'sealed' if is_set else 'not set yet'}")
    output.line(f"  switch    {'off' if found.off else 'on'}, to be reviewed on {found.review_on}")
    for agent in agents:
        output.line(f"  agent     {agent['agent']}, to be reviewed on {agent['review_on']}")
    for one in lacks:
        output.note(f"Next: {one.advice}")
    if min([found.review_on, *(agent["review_on"] for agent in agents)]) <= clock.now().date():
        output.note(f"A review is due, and what changes something asks: `pocketlet connect renew {name}`")


async def _show(
    conn: "pool.Conn", name: str
) -> "tuple[connections.Connection, list[dict[str, Any]], dict[str, bool], list[secret_needs.Lack]]":
    from pocketlet.platform import connection_changes, connections, secret_needs, vault

    found = await connections.get(conn, name)
    agents = await connection_changes.agents_of(conn, found)
    known = set(await vault.names(conn))
    lacks = await secret_needs.lacks(conn, kind="connection", name=name)
    secrets = {secret: secret in known for secret in connection_changes.secrets_of(found.auth)}
    return found, [{"agent": row["name"], "review_on": row["review_on"]} for row in agents], secrets, lacks


@connect.command()
@click.argument("name")
@click.argument("agent")
@output.as_json
def grant(name: str, agent: str, *, as_json: bool) -> None:
    """Let an agent use a connection, with the secrets that it needs."""
    missing, named = session.api(_grant, name, agent)
    if as_json:
        output.document({"connection": name, "agent": agent, "granted": True, "missing": missing, "tool": named})
        return
    output.line(f"{agent} may use {name}.")
    if not named:
        output.note('Next: add "http" to `tools` in its agent.toml (`pocketlet agent export`, then import --replace)')
    for secret in missing:
        output.note(f"Next: `pocketlet secret set {secret}`, then `pocketlet secret grant {secret} {agent}`")


async def _grant(conn: "pool.Conn", name: str, agent: str) -> tuple[list[str], bool]:
    """The secrets that are missing, and whether the agent has the tool that uses connections."""
    from pocketlet.agents import agent as agents
    from pocketlet.agents import revisions
    from pocketlet.platform import connection_changes

    missing = await connection_changes.grant(conn, name, agent)
    found = await agents.get(conn, agent)
    playbook = await revisions.load(conn, found, found.current)
    return missing, "http" in playbook.manifest.tools


@connect.command()
@click.argument("name")
@click.argument("agent")
@output.as_json
def revoke(name: str, agent: str, *, as_json: bool) -> None:
    """Take an agent's grant back, from its next call on."""
    from pocketlet.platform import connection_changes

    session.api(connection_changes.revoke, name, agent)
    output.say(
        {"connection": name, "agent": agent, "granted": False}, f"{agent} may not use {name} any more.", as_json=as_json
    )


@connect.command()
@click.argument("name")
@click.argument("operation", metavar="'METHOD /PATH'")
@click.option("--class", "effect", type=click.Choice(("read", "idempotent", "keyed", "checkable", "unsafe")),
              help="What doing it twice means; read for GET, else unsafe.")  # fmt: skip
@click.option(
    "--harm", type=click.Choice(("external", "irreversible", "money")), help="How much it matters; irreversible."
)
@click.option("--key-header", default="", metavar="HEADER", help="Of keyed: where the key goes; Idempotency-Key.")
@click.option("--open", "is_open", is_flag=True, help="Free text may stand in its path and query.")
@click.option("--remove", "gone", is_flag=True, help="Allow it no longer.")
@output.as_json
def allow(name: str, *, as_json: bool, **options: Any) -> None:
    """Allow one operation more, say more about it, or take it back."""
    found = session.api(_allow, name, options)
    line = " ".join(options["operation"].split())
    sentence = f"{name} allows {line} no longer." if options["gone"] else f"{name} allows {line}."
    output.say(_document(found), sentence, as_json=as_json)


async def _allow(conn: "pool.Conn", name: str, options: dict[str, Any]) -> "connections.Connection":
    from pocketlet.platform import connection_changes, connections

    text = " ".join(options["operation"].split())
    if options["gone"]:
        return await connection_changes.disallow(conn, name, text)
    wanted = connections.operation(
        text,
        options["effect"] or "",
        harm=options["harm"] or "",
        key_header=options["key_header"],
        is_open=options["is_open"],
    )
    return await connection_changes.allow(conn, name, wanted)


@connect.command()
@click.argument("name")
@output.as_json
def off(name: str, *, as_json: bool) -> None:
    """Cut a connection off: every call is refused from now on."""
    from pocketlet.platform import connection_changes

    session.api(connection_changes.switch, name, off=True)
    output.say({"connection": name, "off": True}, f"{name} is off.", as_json=as_json)


@connect.command()
@click.argument("name")
@output.as_json
def on(name: str, *, as_json: bool) -> None:
    """Let a connection be used again."""
    from pocketlet.platform import connection_changes

    session.api(connection_changes.switch, name, off=False)
    output.say({"connection": name, "off": False}, f"{name} is on.", as_json=as_json)


@connect.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.as_json
def remove(name: str, *, yes: bool, as_json: bool) -> None:
    """Remove a connection, its grants, and the secrets that were made for it."""
    from pocketlet.platform import connection_changes

    if not yes and not (sys.stdin.isatty() and click.confirm(f"Remove {name}?", err=True)):
        raise errors.Refused("Nothing was removed.", hint=f"`pocketlet connect remove {name} --yes` removes it.")
    session.api(connection_changes.remove, name)
    output.say({"connection": name, "removed": True}, f"{name} is removed.", as_json=as_json)


connect.add_command(connect_renew.renew)
connect.add_command(connect_calls.test)
connect.add_command(connect_calls.authorize)
