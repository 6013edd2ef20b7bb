"""Secrets, sealed in Postgres with a key that stays outside it (AES-GCM, one nonce a value, the name bound in).

The key file holds the key. While the key is changed it holds two, the old one and then the new one, so that whatever
the database has committed can be opened; the database knows which one counts, by its hash:

    key: old        database: sealed with old
    key: old new    database: sealed with old, or with new          (`rekey`, in one transaction)
    key: new        database: sealed with new                       (`settle`, after it)
"""

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pocketlet import errors
from pocketlet.db import pool, queries
from pocketlet.platform import audit, cluster_home

Q = queries.load("vault")
KEY_BYTES = 32
NONCE_BYTES = 12
OTHER_KEY = "The sealed secrets were made with another key."
#: Whoever has lost the key has lost the values, and nothing else.
LOST_KEY = (
    "Restore the file `key` of this installation's home from your backup. If it is lost, "
    "`pocketlet secret rekey --lost` makes a new one and forgets the values that need the old one."
)
#: Of a value: that of the variable of the environment which it stands for.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
#: Bytes of a value. A shorter one would be found by chance in every reply that is searched for it, and guessed besides.
SHORTEST, LONGEST = 8, 65_536


def key(home: Path) -> bytes:
    """The installation's key (`home/key`, mode 0600), made at first use; both keys while it is being changed.

    Read it anew for each use: it may change. Raises errors.Failed if it can't be kept.
    """
    path = home / "key"
    try:
        cluster_home.make_home(home)
        if not path.exists():
            _keep_first(path, secrets.token_bytes(KEY_BYTES))
        value = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from error
    if len(value) not in (KEY_BYTES, 2 * KEY_BYTES):
        raise errors.Failed(f"The key file {path} is damaged.", hint="Restore it from your backup.")
    return value


def login_key(home: Path) -> bytes:
    """The key that our logins' passwords come from, by URL: `home/login_key` once the sealing key was changed."""
    path = home / "login_key"
    if not path.exists():
        return key(home)[:KEY_BYTES]
    try:
        value = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from error
    if len(value) != KEY_BYTES:
        raise errors.Failed(f"The key file {path} is damaged.", hint="Restore it from your backup.")
    return value


def _unusable(path: Path, error: OSError) -> errors.Failed:
    return errors.Failed(f"The key file {path} can't be used: {error.strerror}.")


def _keep_first(path: Path, value: bytes) -> None:
    """A link does not replace: of two that start at once, one key wins and both read that one."""
    fresh = _written(path, value)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    _sync(path.parent)


def _replace(path: Path, value: bytes) -> None:
    """All of the new file or all of the old one, whatever ends this process or the machine."""
    _written(path, value).replace(path)
    _sync(path.parent)


def _written(path: Path, value: bytes) -> Path:
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    fresh.touch(mode=0o600)
    with fresh.open("wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _keys(sealing_key: bytes) -> list[bytes]:
    return [sealing_key[at : at + KEY_BYTES] for at in range(0, len(sealing_key), KEY_BYTES)]


def _id(one: bytes) -> str:
    return hashlib.sha256(b"pocketlet sealing key" + one).hexdigest()


async def _in_force(conn: pool.Conn, sealing_key: bytes) -> bytes:
    """The key that values are sealed with now, of those in the file. Raises errors.Conflict if it is not among them."""
    row = await (await conn.execute(Q["key_id"])).fetchone()
    keys = _keys(sealing_key)
    for one in keys:
        if row is None or _id(one) == row["value"]:
            return one
    raise errors.Conflict(
        "The key was changed: the key file does not hold the one that is in force.",
        hint=f"If it was changed elsewhere, copy the new key file here. {LOST_KEY}",
    )


def _seal(one: bytes, name: str, value: bytes) -> dict[str, object]:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return {"name": name, "nonce": nonce, "sealed": AESGCM(one).encrypt(nonce, value, name.encode())}


def _open(sealing_key: bytes, row: Mapping[str, Any]) -> bytes:
    for one in _keys(sealing_key):
        try:
            return AESGCM(one).decrypt(row["nonce"], row["sealed"], row["name"].encode())
        except InvalidTag:
            continue
    raise errors.Failed(OTHER_KEY, hint=LOST_KEY)


def _opens(sealing_key: bytes, row: Mapping[str, Any]) -> bool:
    try:
        _open(sealing_key, row)
    except errors.Failed:
        return False
    return True


def check(value: str) -> None:
    """Raises errors.BadInput for a value that can't be kept, without quoting it."""
    size = len(value.encode())
    if size < SHORTEST:
        raise errors.BadInput(
            f"The value has {size} bytes: one of less than {SHORTEST} can't be hidden in what services answer.",
            hint="Have the service make a longer one.",
        )
    if size > LONGEST:
        raise errors.BadInput(
            f"The value has more than {LONGEST} bytes.", hint="A secret is a key, a token or a password, not a file."
        )


async def put(conn: pool.Conn, sealing_key: bytes, name: str, value: str, *, actor: audit.Actor = "owner") -> None:
    """Seals `value` under `name`, in the place of what was there; its grants stay. `actor`: for the audit trail.

    Raises errors.Conflict if the key was changed since it was read.
    """
    await conn.execute(Q["hold"])
    sealed = _seal(await _in_force(conn, sealing_key), name, value.encode())
    [row] = await (await conn.execute(Q["put"], sealed)).fetchall()
    action = "secret.change" if row["changed"] else "secret.set"
    await audit.write(conn, audit.Entry(actor, action, name))


async def opened(conn: pool.Conn, sealing_key: bytes) -> dict[str, str]:
    """Every secret by name, for the gateways only. Until the caller commits, the key is not changed.

    Raises errors.Failed if they were sealed with another key.
    """
    await conn.execute(Q["hold"])
    rows = await (await conn.execute(Q["all"])).fetchall()
    return {row["name"]: _open(sealing_key, row).decode() for row in rows}


async def open_for(conn: pool.Conn, sealing_key: bytes, agent_id: int, names: Iterable[str]) -> dict[str, str]:
    """Some secrets by name, for a connection of an agent; that they were used is written down.

    Until the caller commits, the key is not changed: what is renewed with them can be put back under the same key.

    Raises errors.Refused if one is not granted to the agent, errors.NotFound if there is none of that name,
    errors.Failed if it was sealed with another key; then none is opened.
    """
    wanted = sorted(set(names))
    await conn.execute(Q["hold"])
    rows = await (await conn.execute(Q["some"], {"names": wanted, "agent_id": agent_id})).fetchall()
    if missing := sorted(set(wanted) - {row["name"] for row in rows}):
        raise _no_secret(missing[0])
    for row in rows:
        if not row["granted"]:
            raise errors.Refused(
                f"The secret {row['name']} is not granted to this agent.",
                hint=f"`pocketlet secret grant {row['name']} AGENT` lets the agent's connections use it.",
            )
    found = {row["name"]: _open(sealing_key, row).decode() for row in rows}
    await used(conn, wanted)
    return found


async def used(conn: pool.Conn, names: Sequence[str]) -> None:
    """Writes down that secrets were used today."""
    await conn.execute(Q["used"], {"names": list(names)})


async def names(conn: pool.Conn) -> list[str]:
    """The names of the secrets; values are never listed."""
    return [row["name"] for row in await (await conn.execute(Q["names"])).fetchall()]


async def listing(conn: pool.Conn) -> list[dict[str, Any]]:
    """`name`, `created_at`, `changed_at`, `last_used_at` (to the day, or None) and `agents` (names) of each secret."""
    return await (await conn.execute(Q["listing"])).fetchall()


async def grant(conn: pool.Conn, name: str, agent_id: int) -> None:
    """Lets an agent's connections use a secret. Raises errors.NotFound if there is no such secret."""
    if (await conn.execute(Q["grant"], {"name": name, "agent_id": agent_id})).rowcount == 0:
        if await (await conn.execute(Q["exists"], {"name": name})).fetchone() is None:
            raise _no_secret(name)
        return
    await _note(conn, "secret.grant", name, agent_id)


async def revoke(conn: pool.Conn, name: str, agent_id: int) -> None:
    """Takes a grant back. Raises errors.NotFound if there is none."""
    if (await conn.execute(Q["revoke"], {"name": name, "agent_id": agent_id})).rowcount == 0:
        hint = "`pocketlet secret list` shows which agents may use which."
        raise errors.NotFound(f"The secret {name} is not granted to this agent.", hint=hint)
    await _note(conn, "secret.revoke", name, agent_id)


async def remove(conn: pool.Conn, name: str) -> None:
    """Forgets a secret and its grants. Raises errors.NotFound if there is no such secret."""
    if (await conn.execute(Q["remove"], {"name": name})).rowcount == 0:
        raise _no_secret(name)
    await _note(conn, "secret.remove", name)


async def forget_lost(conn: pool.Conn, home: Path) -> list[str]:
    """For whoever has lost the key: forgets what the key file does not open, with its grants; the names.

    Call `rekey` next, in the same transaction.
    """
    await conn.execute(Q["hold_alone"])
    found = key(home)
    rows = await (await conn.execute(Q["all"])).fetchall()
    gone = [row["name"] for row in rows if not _opens(found, row)]
    for name in gone:
        await remove(conn, name)
    await conn.execute(Q["set_key_id"], {"id": _id(_keys(found)[0])})
    return gone


async def rekey(conn: pool.Conn, home: Path, *, keep_logins: bool) -> int:
    """Seals every value anew with a new key, in the caller's transaction; how many. Call `settle` once it is committed.

    Until then the key file holds both keys: if this ends in between, nothing is lost and it can be done again.
    `keep_logins`: our logins' passwords come from the old key, which is kept for them alone (Postgres by URL).
    Raises errors.Failed or errors.Conflict if a value was sealed with a key that is not in the file.
    """
    await conn.execute(Q["hold_alone"])
    old, new = await _in_force(conn, key(home)), secrets.token_bytes(KEY_BYTES)
    rows = await (await conn.execute(Q["all"])).fetchall()
    values = {row["name"]: _open(old, row) for row in rows}
    try:
        if keep_logins and not (home / "login_key").exists():
            _keep_first(home / "login_key", login_key(home))
        _replace(home / "key", old + new)
    except OSError as error:
        raise _unusable(home / "key", error) from error
    for name, value in values.items():
        await conn.execute(Q["reseal"], _seal(new, name, value))
    await conn.execute(Q["set_key_id"], {"id": _id(new)})
    await _note(conn, "secret.rekey", "all", details={"secrets": len(rows)})
    return len(rows)


async def settle(conn: pool.Conn, home: Path) -> None:
    """Leaves in the key file only the key in force, and no copy of it that a process left when it was ended."""
    await conn.execute(Q["hold_alone"])
    found = key(home)
    one = await _in_force(conn, found)
    try:
        if found != one:
            _replace(home / "key", one)
        for stray in home.glob(".key.*.tmp"):
            stray.unlink()
    except OSError as error:
        raise _unusable(home / "key", error) from error


def _no_secret(name: str) -> errors.NotFound:
    return errors.NotFound(f"There is no secret {name!r}.", hint="`pocketlet secret list` names them.")


async def _note(
    conn: pool.Conn, action: str, name: str, agent_id: int | None = None, *, details: Mapping[str, object] | None = None
) -> None:
    await audit.write(conn, audit.Entry("owner", action, name, agent_id, details=details or {}))
