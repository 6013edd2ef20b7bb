"""The CLI does nothing that a program can't: each command has an endpoint, is this machine's own, or is named here."""

import importlib
from collections.abc import Iterator

import click

from pocketlet.surfaces.api import table
from pocketlet.surfaces.cli import table as commands

#: The endpoints that do what a command does.
SAME = {
    "status": "home.show agents.listing",
    "agent list": "agents.listing",
    "agent show": "playbook.current",
    "agent remove": "removing.show removing.remove",
    "today": "home.show",
    "trigger list": "triggers.listing",
    "trigger when": "triggers.preview",
    "trigger pause": "triggers.pause",
    "trigger resume": "triggers.resume",
    "trigger fire": "triggers.fire",
    "trigger simulate": "triggers.simulate",
    "slot list": "slots.listing",
    "slot show": "slots.show",
    "slot replay": "slots.replay",
    "run": "starting.start run.events",
    "runs": "runs.listing",
    "show": "run.show run.steps",
    "stop": "starting.stop",
    "retry": "starting.retry",
    "inbox": "home.show approvals.listing replies.listing",
    "inbox dismiss": "home.dismiss",
    "inbox confirm": "replies.confirm",
    "inbox ignore": "replies.ignore",
    "approvals": "approvals.listing",
    "approve": "approvals.approve approvals.edit approvals.allow",
    "refuse": "approvals.refuse",
    "rule list": "approvals.rules",
    "rule remove": "approvals.remove_rule",
    "chat": "chat.history chat.say chat.begin chat.accept chat.discard",
    "feedback": "feedback.give feedback.show",
    "skill add": "skills.plan skills.install",
    "skill update": "skills.plan skills.install",
    "skill remove": "skills.off",
    "skill list": "skills.listing",
    "skill show": "skills.show",
    "revisions": "playbook.listing",
    "diff": "changes.diff",
    "adopt": "changes.adopt",
    "discard": "changes.discard",
    "rollback": "changes.roll_back",
    "blame": "playbook.origins",
    "cases": "cases.listing cases.pin",
    "trial": "trials.begin trials.listing",
    "compare": "comparing.quote comparing.begin comparing.show",
    "backtest": "backtests.begin backtests.results backtests.learn",
    "audit list": "audit.listing",
    "audit verify": "audit.verify",
    "connect add": "connecting.draft connecting.add",
    "connect list": "connections.listing",
    "connect show": "connections.show",
    "connect grant": "connecting.grant",
    "connect revoke": "connecting.revoke",
    "connect allow": "connecting.allow",
    "connect off": "connecting.switch",
    "connect on": "connecting.switch",
    "connect remove": "connecting.remove",
    "connect renew": "connecting.renew",
    "connect test": "connecting.try_out",
    "mcp add": "mcp.add",
    "mcp review": "mcp.review mcp.show",
    "mcp list": "mcp.listing",
    "mcp show": "mcp.show",
    "mcp grant": "mcp.grant",
    "mcp revoke": "mcp.revoke",
    "mcp on": "mcp.switch",
    "mcp off": "mcp.switch",
    "mcp remove": "mcp.remove",
    "channel add mail": "channels.add",
    "channel add webhook": "channels.add",
    "channel add telegram": "channels.add",
    "channel list": "channels.listing",
    "channel show": "channels.show channels.messages",
    "channel test": "channels.try_out",
    "channel remove": "channels.remove",
    "secret set": "secrets.put",
    "secret list": "secrets.listing",
    "secret grant": "secrets.grant",
    "secret revoke": "secrets.revoke",
    "secret remove": "secrets.remove",
    "sql": "sql.ask",
    "cost": "costs.show",
}
#: What is about this machine, its files, its terminal or its keys, and so for whoever sits at it.
MACHINE = {
    "demo crm": "a story in a home of its own",
    "demo pages": "a story in a home of its own",
    "up": "starts what would answer",
    "open": "starts a browser here",
    "down": "ends what would answer",
    "doctor": "looks at files, ports and Postgres from outside",
    "agent import": "reads a folder here",
    "agent export": "writes a folder here",
    "skill lint": "reads a folder here",
    "bench agentdojo": "needs a checkout",
    "connect authorize": "logs in to a service with a browser here",
    "secret rekey": "changes the key file here",
    "owner add": "no owner makes another",
    "owner list": "no owner sees another",
    "owner password": "asks for it at the terminal",
    "owner give": "no owner takes from another",
    "owner remove": "no owner ends another",
    "token create": "no token makes one with more scopes than its own",
    "token list": "as above",
    "token revoke": "as above",
    "audit anchor": "writes a file here",
}
#: What a program can't do yet.
MISSING = {}


def leaves(name: str, command: click.Command) -> Iterator[str]:
    """The commands that do something."""
    if not isinstance(command, click.Group):
        yield name
        return
    if command.invoke_without_command:
        yield name
    for below, one in command.commands.items():
        yield from leaves(f"{name} {below}", one)


def test_each_command_has_an_endpoint_or_a_reason() -> None:
    found: set[str] = set()
    for name, (place, _) in commands.COMMANDS.items():
        module, _, function = place.partition(":")
        command = getattr(importlib.import_module(f"pocketlet.surfaces.cli.{module}"), function)
        found |= set(leaves(name, command))
    assert found == SAME.keys() | MACHINE.keys() | MISSING.keys()
    assert len(SAME) + len(MACHINE) + len(MISSING) == len(found)


def test_the_endpoints_that_are_named_are_there() -> None:
    known = {one.name for one in table.ENDPOINTS}
    assert {name for names in SAME.values() for name in names.split()} <= known
