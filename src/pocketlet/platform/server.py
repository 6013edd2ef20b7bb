"""The embedded Postgres of a home: started by its first user, stopped by its last.

Any number of processes may come and go at the same time, and be killed at any point. Each holds a shared lock
on `users.lock`; who can turn its own into an exclusive one is the last. All functions block for as long as
Postgres needs (about a second for a new cluster): call them through `asyncio.to_thread`.

A process that is killed leaves the server running; the next one finds it and, as the last, stops it.
"""

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pocketlet import errors
from pocketlet.platform import binaries, cluster_home, locks, postmaster


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `host` is the folder of its socket; the calling OS user may log in as any role."""

    host: str
    port: int
    superuser: str
    data: Path
    home: Path


@dataclass(frozen=True, slots=True)
class Status:
    """`version` is the data's major version, `binaries` that of the programs; `disk_free` is in bytes."""

    running: bool
    pid: int | None
    version: str | None
    data: Path | None
    binaries: str | None
    disk_free: int


class Lease:
    """The use of a server until `release`; as a context manager, until the end of the block."""

    def __init__(self, server: Server, cluster: cluster_home.Cluster, *, start_lock: int, users_lock: int) -> None:
        """Made by `acquire`: the locks are open descriptors, of which `users_lock` is shared."""
        self.server = server
        self._cluster = cluster
        self._start_lock = start_lock
        self._users_lock = users_lock
        self._released = False

    def release(self) -> None:
        """Give the server back; the last user stops it. A second call does nothing.

        Raises NoPostgres if the server can't be stopped.
        """
        if self._released:
            return
        self._released = True
        try:
            with locks.exclusive(self._start_lock):
                if locks.try_exclusive(self._users_lock):
                    postmaster.stop(self._cluster)
        finally:
            locks.unlock_and_close(self._users_lock)
            os.close(self._start_lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def acquire(home: Path, *, fast: bool = False) -> Lease:
    """Have the Postgres of `home` running, made first if need be, and use it until the lease is released.

    `fast` (for tests) gives up safety against a crash of the machine, and lets the data go with `home`.
    Raises NoPostgres (no disk space, no permission, no programs, the server's own complaint), BadMigration
    (data of another major version) or Refused (another OS user's server).
    """
    home = home.absolute()
    with _plainly(home), ExitStack() as undo:
        cluster_home.make_home(home)
        start_lock = locks.open_file(home / "start.lock")
        undo.callback(os.close, start_lock)
        users_lock = locks.open_file(home / "users.lock")
        undo.callback(locks.unlock_and_close, users_lock)
        with locks.exclusive(start_lock):
            locks.share(users_lock)
            cluster = cluster_home.make(home, fast=fast)
            try:
                host = postmaster.start(cluster, fast=fast)
            except KeyboardInterrupt:
                if locks.try_exclusive(users_lock):
                    postmaster.stop(cluster)
                raise
        undo.pop_all()
    server = Server(str(host), cluster_home.PORT, postmaster.SUPERUSER, cluster.data, home)
    return Lease(server, cluster, start_lock=start_lock, users_lock=users_lock)


def stop(home: Path) -> bool:
    """Stop the Postgres of `home` even if it is in use. Returns whether it was running.

    Raises NoPostgres if it can't be stopped, Refused if it is another OS user's.
    """
    home = home.absolute()
    with _plainly(home):
        cluster = cluster_home.find(home)
        if cluster is None:
            return False
        with locks.exclusive_file(home / "start.lock"):
            return postmaster.stop(cluster)


def status(home: Path) -> Status:
    """What is known about the Postgres of `home`, without starting or making anything.

    Raises as `stop` does.
    """
    home = home.absolute()
    with _plainly(home):
        cluster = cluster_home.find(home)
        found = postmaster.running(cluster) if cluster else None
        place = cluster.folder if cluster else home
        existing = next(folder for folder in (place, *place.parents) if folder.is_dir())
        return Status(
            running=found is not None,
            pid=found.pid if found else None,
            version=postmaster.version_of(cluster) if cluster else None,
            data=cluster.data if cluster else None,
            binaries=binaries.find().version(),
            disk_free=shutil.disk_usage(existing).free,
        )


@contextmanager
def _plainly(home: Path) -> Generator[None]:
    """Turn an error of the operating system into one sentence with a next step."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise errors.NoPostgres(
            f"The Postgres of {home} can't be used: {error.strerror or error}{where}.", hint=_hint(error)
        ) from error


def _hint(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return postmaster.DISK_HINT
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return "Run Pocketlet as that folder's owner, or set POCKETLET_HOME to a folder that you may write to."
    return ""
