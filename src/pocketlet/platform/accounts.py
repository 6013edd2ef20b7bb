"""The OS users of an embedded Postgres: the one that calls, and the one that the server runs as.

An ordinary user runs the server itself. Postgres refuses to run as root, so for root the server runs as the
existing user `postgres`, else as `nobody`; no user is ever added. Whoever else runs as that user can read the
data files (with `nobody`: other small services), but still can't log in.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from pocketlet import errors

UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An OS user with its primary group."""

    name: str
    uid: int
    gid: int


def caller() -> Account:
    """The OS user of this process.

    Raises NoPostgres if it has no name: Postgres knows local users by name.
    """
    return _by_uid(os.geteuid())


def for_server() -> Account:
    """The OS user to run a new server as. Raises NoPostgres if there is none."""
    me = caller()
    if me.uid != 0:
        return me
    by_name = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in UNPRIVILEGED:
        if (entry := by_name.get(name)) and entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise errors.NoPostgres(
        "Postgres refuses to run as root, and this system has neither a user `postgres` nor `nobody`.",
        hint="Run Pocketlet as an ordinary user, or set POCKETLET_DATABASE_URL.",
    )


def owner(path: Path) -> Account:
    """The OS user that owns `path`. Raises NoPostgres if it has no name."""
    return _by_uid(path.stat().st_uid)


def may_enter(account: Account, path: Path) -> bool:
    """Whether the permission bits let `account` through all folders down to `path`, and run or enter that."""
    whole = path.resolve()
    return all(_may_search(account, step.stat()) for step in (whole, *whole.parents))


def give(path: Path, account: Account) -> None:
    """Make `account` the owner of `path`. Needs root, unless `account` is the caller."""
    if account.uid != os.geteuid():
        os.chown(path, account.uid, account.gid)


def _may_search(account: Account, status: os.stat_result) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _by_uid(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError as error:
        raise errors.NoPostgres(
            f"The user id {uid} has no name on this system; Postgres lets local users in by name.",
            hint="Give it an entry in /etc/passwd, or set POCKETLET_DATABASE_URL.",
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
