"""`pocketlet doctor`."""

import asyncio

import click

from pocketlet import settings
from pocketlet.surfaces.cli import output

RED = 8


@click.command()
@output.as_json
def doctor(*, as_json: bool) -> None:
    """Check the installation, and say what to do about what is wrong.

    Exits with 8 if a check is red. A warning is worth reading and changes nothing.
    """
    from pocketlet.platform import doctor as checks

    found = asyncio.run(checks.examine(settings.read()))
    red = [check for check in found if check.state == "red"]
    if as_json:
        rows = [{"name": one.name, "state": one.state, "found": one.found, "advice": one.advice} for one in found]
        output.document({"ok": not red, "checks": rows})
    else:
        for check in found:
            output.line(f"{check.state:<7}  {check.name}: {check.found}")
            if check.state != "ok" and check.advice:
                output.line(f"         do: {check.advice}")
        output.line(f"{len(found)} checks, {len(red)} red")
    if red:
        click.get_current_context().exit(RED)
