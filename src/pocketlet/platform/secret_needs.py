"""What is fit to be a secret; which agents can't use what they were granted, for want of a secret or its grant."""

from dataclasses import dataclass

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.platform import vault
from pocketlet.platform.gateways import submission

Q = queries.load("secret_needs")


@dataclass(frozen=True, slots=True)
class Lack:
    """`agent` may use `name` (`kind`: connection or mcp), which needs `secret`; `is_set`: it only lacks the grant."""

    kind: str
    name: str
    agent: str
    secret: str
    is_set: bool

    @property
    def advice(self) -> str:
        """What is wrong, and the command that mends it."""
        what = f"{self.agent} can't use {self.name} now"
        grant = f"`pocketlet secret grant {self.secret} {self.agent}`"
        return f"{what}: {grant}" if self.is_set else f"{what}: `pocketlet secret set {self.secret}`, then {grant}"


def check_name(name: str) -> None:
    """Raises errors.BadInput."""
    if not vault.NAME.fullmatch(name):
        raise errors.BadInput(f"{name!r} is not a name: use letters, digits and _.", hint="For example OPENAI_API_KEY.")


def check(name: str, value: str) -> None:
    """Raises errors.BadInput for what can't be kept under this name, and errors.BadSetting for a mail server's URL over
    which a worker would stumble at each run.
    """
    check_name(name)
    vault.check(value)
    if name == "POCKETLET_SMTP_URL":
        submission.read(value)


async def lacks(conn: pool.Conn, secret: str | None = None, *, kind: str = "", name: str = "") -> list[Lack]:
    """All of them, or those of one secret, or of one connection or server; by name, agent and secret."""
    values = {"secret": secret, "kind": kind or None, "name": name or None}
    return [Lack(**row) for row in await (await conn.execute(Q["lacks"], values)).fetchall()]
