"""`pocketlet rule list | remove`: what the owner allows once and for all."""

import click

from pocketlet.surfaces.cli import output, session


@click.group()
def rule() -> None:
    """Show and end standing rules: what agents may do unasked (`approve --always` makes one)."""


@rule.command(name="list")
@output.as_json
def listing(*, as_json: bool) -> None:
    """List the rules in force; one whose review date has passed allows nothing any more."""
    from pocketlet.agents import approving

    found = session.api(approving.rules)
    if as_json:
        output.document({"rules": found})
        return
    for row in found:
        until = f"to be reviewed since {row['review_on']}" if row["stale"] else f"until {row['review_on']}"
        left = f"{row['left']} of {row['per_day']} left today"
        output.line(f"{row['number']}  {row['agent']}: {row['tool']} to {row['destination']}, {left}, {until}")
    if not found:
        output.line("There are none: `pocketlet approve ID --always N` makes one.")


@rule.command()
@click.argument("number", type=int)
@output.as_json
def remove(number: int, *, as_json: bool) -> None:
    """End a rule: from now on you are asked again."""
    from pocketlet.agents import approving

    agent = session.api(approving.remove_rule, number)
    output.say(
        {"rule": number, "agent": agent, "removed": True}, f"Rule {number} of {agent} is ended.", as_json=as_json
    )
