"""Secrets, sealed in Postgres with a key that stays outside it (AES-GCM, one nonce a value, the name bound in)."""

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.platform import cluster_home

Q = queries.load("vault")
KEY_BYTES = 32


def key(home: Path) -> bytes:
    """The installation's key (`home/key`, mode 0600), made at first use. Raises errors.Failed if it can't be kept."""
    path = home / "key"
    try:
        cluster_home.make_home(home)
        if not path.exists():
            fresh = path.with_name(f"key.{secrets.token_hex(4)}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(secrets.token_bytes(KEY_BYTES))
            # A link does not replace: of two that start at once, one key wins and both read that one.
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        value = path.read_bytes()
    except OSError as error:
        raise errors.Failed(f"The key file {path} can't be used: {error.strerror}.") from error
    if len(value) != KEY_BYTES:
        raise errors.Failed(f"The key file {path} is damaged.", hint="Restore it from your backup.")
    return value


async def put(conn: pool.Conn, sealing_key: bytes, name: str, value: str) -> None:
    """Seals `value` under `name`, in the place of what was there."""
    nonce = secrets.token_bytes(12)
    sealed = AESGCM(sealing_key).encrypt(nonce, value.encode(), name.encode())
    await conn.execute(Q["put"], {"name": name, "nonce": nonce, "sealed": sealed})


async def opened(conn: pool.Conn, sealing_key: bytes) -> dict[str, str]:
    """Every secret by name, for the gateways only. Raises errors.Failed if they were sealed with another key."""
    rows = await (await conn.execute(Q["all"])).fetchall()
    try:
        return {
            row["name"]: AESGCM(sealing_key).decrypt(row["nonce"], row["sealed"], row["name"].encode()).decode()
            for row in rows
        }
    except InvalidTag as error:
        raise errors.Failed(
            "The sealed secrets were made with another key.", hint="Restore the key file of this installation."
        ) from error


async def names(conn: pool.Conn) -> list[str]:
    """The names of the secrets; values are never listed."""
    return [row["name"] for row in await (await conn.execute(Q["names"])).fetchall()]


async def remove(conn: pool.Conn, name: str) -> None:
    """Raises errors.NotFound if there is no such secret."""
    if (await conn.execute(Q["remove"], {"name": name})).rowcount == 0:
        raise errors.NotFound(f"There is no secret {name!r}.", hint="`pocketlet secret list` names them.")
