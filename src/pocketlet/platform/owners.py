"""Owners, and how they prove who they are: one-time codes, cookies of browsers, tokens of programs, passwords.

What proves somebody is stored as its SHA-256 alone; these secrets have 256 bits, so no slow hash is needed. A password
is a person's own, and gets scrypt.
"""

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pocketlet import errors
from pocketlet.db import pool, queries

Q = queries.load("owners")
CODE_SECONDS = 600.0
SESSION_DAYS = 30
SCOPES = ("read", "run", "approve", "admin")
COST, BLOCK, LANES = 2**15, 8, 1  # scrypt: 32 MB, about 0.1 s
MEMORY = 64 * 2**20  # bytes that scrypt may take
SHORTEST = 10  # characters of a password


@dataclass(frozen=True, slots=True)
class Owner:
    """`keeper`: keeps the installation, too."""

    id: int
    name: str
    keeper: bool
    has_password: bool


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a program's token."""

    id: int
    owner: Owner
    scopes: frozenset[str]


def digest(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


async def everyone(conn: pool.Conn) -> list[Owner]:
    """All owners, the first one first."""
    return [_owner(row) for row in await (await conn.execute(Q["all"])).fetchall()]


async def by_name(conn: pool.Conn, name: str) -> Owner:
    """Raises errors.NotFound."""
    for owner in await everyone(conn):
        if owner.name == name:
            return owner
    raise errors.NotFound(f"There is no owner {name!r}.", hint="`pocketlet owner list` names them.")


def alone(known: list[Owner]) -> Owner | None:
    """The one owner of a machine that nobody else reaches: she needs no login until she sets a password."""
    return known[0] if len(known) == 1 and not known[0].has_password else None


async def add(conn: pool.Conn, name: str) -> Owner:
    """A second owner, and any after. Raises errors.BadInput, errors.Conflict."""
    if not name.isascii() or not name[:1].isalpha() or name != name.lower() or len(name) > 41:
        raise errors.BadInput(f"{name!r} is no name for an owner.", hint="Small letters, digits, and . _ - after one.")
    row = await (await conn.execute(Q["add"], {"name": name})).fetchone()
    if row is None:
        raise errors.Conflict(f"There is an owner {name!r} already.", hint="`pocketlet owner list` names them.")
    return _owner(row)


async def remove(conn: pool.Conn, name: str, *, no_login: bool = False) -> None:
    """`no_login`: also if nobody logs in any more without this owner.

    Raises errors.NotFound, and errors.Conflict for the keeper, for who has agents, and for the last owner but one.
    """
    owner = await by_name(conn, name)
    if owner.keeper or await (await conn.execute(Q["has_agents"], {"owner": owner.id})).fetchone():
        said = "keeps this installation" if owner.keeper else "has agents"
        raise errors.Conflict(f"{name} {said}.", hint="`pocketlet agent give AGENT OWNER` gives an agent to another.")
    left = alone([one for one in await everyone(conn) if one != owner])
    if left and not no_login:
        said = f"Without {name} nobody would log in any more: pages would open for every program of yours here."
        keep = f"`pocketlet owner password {left.name}` keeps the login"
        raise errors.Conflict(said, hint=f"{keep}; `pocketlet owner remove {name} --no-login` gives it up.")
    await conn.execute(Q["remove"], {"owner": owner.id})


async def give(conn: pool.Conn, agent: str, name: str) -> None:
    """The agent is this owner's from now on. Raises errors.NotFound."""
    owner = await by_name(conn, name)
    if await (await conn.execute(Q["give"], {"owner": owner.id, "agent": agent})).fetchone() is None:
        raise errors.NotFound(f"There is no agent {agent!r}.", hint="`pocketlet agent list` names them.")


async def set_password(conn: pool.Conn, name: str, password: str) -> None:
    """Ends all sessions and codes of the owner, as somebody else may hold one; tokens stay.

    Raises errors.NotFound, errors.BadInput.
    """
    owner = await by_name(conn, name)
    if len(password) < SHORTEST:
        raise errors.BadInput(f"A password has {SHORTEST} characters at least.", hint="Longer is better than odder.")
    salt = secrets.token_bytes(16)
    made = await asyncio.to_thread(_scrypt, password, salt)
    kept = f"scrypt${COST}${BLOCK}${LANES}${salt.hex()}${made.hex()}"
    await conn.execute(Q["set_password"], {"owner": owner.id, "password": kept})
    await conn.execute(Q["end_sessions"], {"owner": owner.id})


async def check_password(conn: pool.Conn, name: str, password: str) -> Owner | None:
    """The owner, if the password is hers. Takes as long for a name that there is not."""
    row = await (await conn.execute(Q["password"], {"name": name})).fetchone()
    kept = str(row["password"] or "") if row else ""
    kept = kept or f"scrypt${COST}${BLOCK}${LANES}${'00' * 16}${'00' * 64}"
    *_, salt, wanted = kept.split("$")
    made = await asyncio.to_thread(_scrypt, password, bytes.fromhex(salt))
    same = hmac.compare_digest(made, bytes.fromhex(wanted))
    return _owner(row) if row and row["password"] and same else None


def _scrypt(password: str, salt: bytes) -> bytes:
    raw = password.encode("utf-8", "surrogateescape")
    return hashlib.scrypt(raw, salt=salt, n=COST, r=BLOCK, p=LANES, maxmem=MEMORY)


async def new_code(conn: pool.Conn, owner: Owner) -> str:
    """A code that is good once, for CODE_SECONDS."""
    code = secrets.token_urlsafe(24)
    await conn.execute(Q["new_code"], {"hash": digest(code), "owner": owner.id, "seconds": CODE_SECONDS})
    return code


async def use_code(conn: pool.Conn, code: str) -> Owner | None:
    """Whose it is, once; None if it was used, is too old, or never was."""
    row = await (await conn.execute(Q["use_code"], {"hash": digest(code)})).fetchone()
    return _owner(row) if row else None


async def new_session(conn: pool.Conn, owner: Owner, browser: str, user: int | None = None) -> str:
    """The secret of a cookie. `browser`: what it calls itself, for the list of sessions. `user`: of this machine, whose
    processes alone it is good for; None: whoever shows it.
    """
    secret = secrets.token_urlsafe(32)
    values = {"hash": digest(secret), "owner": owner.id, "browser": browser[:200], "days": SESSION_DAYS, "user": user}
    await conn.execute(Q["new_session"], values)
    return secret


async def of_session(conn: pool.Conn, secret: str, user: int | None = None) -> Owner | None:
    """Who is logged in with this cookie, which a process of `user` shows; each use makes it good for longer."""
    values = {"hash": digest(secret), "days": SESSION_DAYS, "user": user}
    row = await (await conn.execute(Q["of_session"], values)).fetchone()
    return _owner(row) if row else None


async def end_session(conn: pool.Conn, secret: str) -> None:
    """Logs out."""
    await conn.execute(Q["end_session"], {"hash": digest(secret)})


async def new_token(
    conn: pool.Conn, owner: Owner, name: str, scopes: frozenset[str], expires: datetime | None
) -> tuple[int, str]:
    """The number and the secret of a token, which is shown this once. Raises errors.BadInput, errors.Conflict."""
    unknown = scopes - set(SCOPES)
    if unknown or not scopes or not name.strip():
        hint = f"Scopes are {', '.join(SCOPES)}; a name tells you later what it is for."
        raise errors.BadInput(f"A token needs a name and scopes, not {', '.join(sorted(scopes)) or 'none'}.", hint=hint)
    secret = "pkt_" + secrets.token_urlsafe(32)
    values = {"owner": owner.id, "name": name, "hash": digest(secret), "scopes": sorted(scopes), "expires": expires}
    row = await (await conn.execute(Q["new_token"], values)).fetchone()
    if row is None:
        raise errors.Conflict(f"There is a token {name!r} already.", hint="`pocketlet token list` names them.")
    return row["id"], secret


async def of_token(conn: pool.Conn, secret: str) -> Token | None:
    """What this token may do, if there is one and it has not ended."""
    row = await (await conn.execute(Q["of_token"], {"hash": digest(secret)})).fetchone()
    return Token(row["token"], _owner(row), frozenset(row["scopes"])) if row else None


async def tokens(conn: pool.Conn, owner: Owner) -> list[dict[str, Any]]:
    """id, name, scopes, created_at, expires_at, last_used_at."""
    return list(await (await conn.execute(Q["tokens"], {"owner": owner.id})).fetchall())


async def revoke_token(conn: pool.Conn, owner: Owner, number: int) -> None:
    """Raises errors.NotFound."""
    if await (await conn.execute(Q["revoke_token"], {"owner": owner.id, "id": number})).fetchone() is None:
        raise errors.NotFound(f"There is no token {number}.", hint="`pocketlet token list` names them.")


def _owner(row: dict[str, Any]) -> Owner:
    return Owner(row["id"], row["name"], row["keeper"], row["has_password"])
