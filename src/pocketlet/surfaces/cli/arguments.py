"""Arguments that several commands take: the numbers of runs, approvals and revisions."""

from collections.abc import Callable

import click


class Number(click.IntRange):
    """A whole number from 1 to the last one that Postgres' type has."""

    name = "number"


NUMBER = Number(1, 2**63 - 1)
REVISION = Number(1, 2**31 - 1)

Command = Callable[..., None]
run: Callable[[Command], Command] = click.argument("run", type=NUMBER)
approval: Callable[[Command], Command] = click.argument("approval", metavar="ID", type=NUMBER)
