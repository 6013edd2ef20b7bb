"""Which agents were granted a connection or an MCP server, and can't use it for want of a secret or its grant."""

from dataclasses import dataclass

from pocketlet.db import pool, queries

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


async def lacks(conn: pool.Conn, secret: str | None = None, *, kind: str = "", name: str = "") -> list[Lack]:
    """All of them, or those of one secret, or of one connection or server; by name, agent and secret."""
    values = {"secret": secret, "kind": kind or None, "name": name or None}
    return [Lack(**row) for row in await (await conn.execute(Q["lacks"], values)).fetchall()]
