"""Arguments that several commands take: the numbers of runs, approvals and revisions."""

from collections.abc import Callable

import click

#: What Postgres counts runs and approvals with ends here.
NUMBER = click.IntRange(1, 2**63 - 1)
REVISION = click.IntRange(1, 2**31 - 1)

type_of_command = Callable[..., None]
run: Callable[[type_of_command], type_of_command] = click.argument("run", type=NUMBER)
approval: Callable[[type_of_command], type_of_command] = click.argument("approval", metavar="ID", type=NUMBER)
