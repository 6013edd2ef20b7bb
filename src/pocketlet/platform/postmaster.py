"""One cluster's server process: initialise, configure, start, stop.

Callers hold the home's `start.lock`. Besides, every process of a server, from initdb to the last backend,
inherits the lock on `server.lock`: who gets that lock knows that nothing of an earlier server lives, be it an
orphaned backend or a postmaster in another container. `postmaster.pid` can't tell: its process number may
be a zombie's by now, or a stranger's.
"""

import os
import re
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from pocketlet import clock, errors
from pocketlet.platform import accounts, binaries, cluster_home, locks

SUPERUSER = "postgres"
START_SECONDS = 60
STOP_SECONDS = {"fast": 60, "immediate": 20}
#: Bytes; initdb writes about 40 MB and the first WAL segments follow.
NEEDED_DISK = 128 * 2**20
LOG_TURNS_AT = 4 * 2**20
CAUSE = re.compile(r"(FATAL|PANIC|error): .*")
DISK_HINT = "Free some disk space and start again; nothing is lost."

SETTINGS = """\
# Written by Pocketlet at every start: changes made here do not last.
listen_addresses = ''
port = {port}
unix_socket_directories = {socket}
unix_socket_permissions = 0700
hba_file = {hba}
ident_file = {ident}
max_connections = 100
max_prepared_transactions = 0
allow_alter_system = off
shared_buffers = 64MB
dynamic_shared_memory_type = {shared_memory}
max_wal_size = 256MB
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = warning
# Statements hold what users wrote; the log is no place for it.
log_min_error_statement = panic
log_line_prefix = '%m [%p] '
track_activities = on
cluster_name = 'pocketlet'
"""
FAST_SETTINGS = """\
fsync = off
full_page_writes = off
synchronous_commit = off
"""


@dataclass(frozen=True, slots=True)
class Postmaster:
    """What `postmaster.pid` says: the process, the folder of its socket, and whether it takes connections."""

    pid: int
    socket: Path
    ready: bool


def running(cluster: cluster_home.Cluster) -> Postmaster | None:
    """The server of this cluster if it takes connections, else None."""
    found = _read_pid_file(cluster)
    return found if found and found.ready and _answers(found.socket) else None


def start(cluster: cluster_home.Cluster, *, fast: bool) -> Path:
    """Have the server running; initialise its data first if there is none. Returns the folder of its socket.

    `fast` gives up safety against a crash of the machine (for tests), unless the server runs already.
    Raises NoPostgres with the server's own last words, BadMigration for data of another major version.
    """
    _check_version(cluster)
    programs = binaries.reachable(cluster.account, cluster.shelf)
    found = _read_pid_file(cluster)
    if found and found.ready and not _socket_file(found.socket).exists():
        stop(cluster)
    lock = _wait_for_server_or_lock(cluster)
    if isinstance(lock, Postmaster):
        return lock.socket
    try:
        if not cluster.data.is_dir():
            _initialise(cluster, programs, lock, fast=fast)
        folder = cluster_home.socket_folder(cluster)
        _configure(cluster, folder, fast=fast)
        _launch(cluster, programs, folder, lock)
    finally:
        os.close(lock)
    return folder


def stop(cluster: cluster_home.Cluster) -> bool:
    """Stop the server and wait until its last process is gone. Returns whether there was one.

    Raises NoPostgres if it can't be stopped.
    """
    if not cluster.folder.is_dir() or _lock_is_free(cluster, seconds=0):
        return False
    programs = binaries.reachable(cluster.account, cluster.shelf)
    for mode, seconds in STOP_SECONDS.items():
        command = ["pg_ctl", "stop", "-s", "-D", str(cluster.data), "-m", mode, "-t", str(seconds)]
        programs.run(command, cluster.account, seconds=seconds + 10)
        if _lock_is_free(cluster, seconds=5):
            return True
    raise errors.NoPostgres(
        f"The Postgres in {cluster.folder} does not stop.",
        hint=f"Its processes have {cluster.lock} open; look at {cluster.log}.",
    )


def version_of(cluster: cluster_home.Cluster) -> str | None:
    """The major version that wrote the data ("18"), or None if there is no data yet."""
    if not cluster.data.is_dir():
        return None
    mark = cluster.data / "PG_VERSION"
    if not mark.is_file():
        raise errors.NoPostgres(
            f"{cluster.data} is not a complete Postgres data directory: PG_VERSION is missing.",
            hint=f"Restore {cluster.data} from a backup, or move it away to start with an empty Postgres.",
        )
    return mark.read_text().strip()


def _check_version(cluster: cluster_home.Cluster) -> None:
    version = version_of(cluster)
    if version not in (None, binaries.MAJOR):
        raise errors.BadMigration(
            f"The data in {cluster.data} is of PostgreSQL {version}; this Pocketlet runs {binaries.MAJOR}.",
            hint=f"Run PostgreSQL {version} on it, and either set POCKETLET_DATABASE_URL to that server, or "
            "pg_dump from it and restore into a new POCKETLET_HOME. Nothing was changed.",
        )


def _wait_for_server_or_lock(cluster: cluster_home.Cluster) -> Postmaster | int:
    """A server that takes connections, or the lock that says no process of one is left."""
    deadline = clock.monotonic() + START_SECONDS
    lock = locks.open_file(cluster.lock)
    locked = False
    try:
        while not (locked := locks.try_exclusive(lock)):
            if found := running(cluster):
                return found
            if clock.monotonic() > deadline:
                raise errors.NoPostgres(
                    f"An earlier Postgres in {cluster.folder} neither takes connections nor ends.",
                    hint=f"It may still be recovering: see {cluster.log} and try again; nothing is lost.",
                )
            time.sleep(0.02)
    finally:
        if not locked:
            os.close(lock)
    return lock


def _lock_is_free(cluster: cluster_home.Cluster, *, seconds: float) -> bool:
    deadline = clock.monotonic() + seconds
    lock = locks.open_file(cluster.lock)
    try:
        while not (free := locks.try_exclusive(lock)) and clock.monotonic() < deadline:
            time.sleep(0.02)
        return free
    finally:
        os.close(lock)


def _initialise(cluster: cluster_home.Cluster, programs: binaries.Binaries, lock: int, *, fast: bool) -> None:
    """Make the data directory beside its place and rename it there, so that it is complete or absent."""
    for leftover in cluster.folder.glob("new-*"):
        shutil.rmtree(leftover)
    free = shutil.disk_usage(cluster.folder).free
    if free < NEEDED_DISK:
        raise errors.NoPostgres(
            f"Only {free >> 20} MB are free at {cluster.folder}; a new Postgres needs {NEEDED_DISK >> 20}.",
            hint=DISK_HINT,
        )
    scratch = Path(tempfile.mkdtemp(prefix="new-", dir=cluster.folder))
    accounts.give(scratch, cluster.account)
    command = ["initdb", "-D", str(scratch), "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--auth-local=peer", "--auth-host=reject", "--no-instructions"]
    command += ["--no-sync"] if fast else []
    done = programs.run(command, cluster.account, seconds=300, keep=(lock,))
    if done.returncode != 0:
        raise _did_not("A new Postgres could not be initialised", done.stderr, cluster)
    scratch.rename(cluster.data)


def _configure(cluster: cluster_home.Cluster, folder: Path, *, fast: bool) -> None:
    hba, ident = cluster.folder / "pg_hba.conf", cluster.folder / "pg_ident.conf"
    text = SETTINGS.format(
        port=cluster_home.PORT,
        socket=_literal(f'"{folder}"'),
        hba=_literal(str(hba)),
        ident=_literal(str(ident)),
        shared_memory=_shared_memory(),
    )
    cluster_home.write(cluster.folder / "postgresql.conf", text + (FAST_SETTINGS if fast else ""))
    cluster_home.write(hba, "local all all peer map=pl\n")
    cluster_home.write(ident, f'pl "{accounts.caller().name}" all\n')


def _launch(cluster: cluster_home.Cluster, programs: binaries.Binaries, folder: Path, lock: int) -> None:
    # With the lock in hand these are stale, but Postgres would trust them if the process number is in use.
    for stale in (
        cluster.data / "postmaster.pid",
        _socket_file(folder),
        Path(f"{_socket_file(folder)}.lock"),
    ):
        stale.unlink(missing_ok=True)
    if cluster.log.exists() and cluster.log.stat().st_size > LOG_TURNS_AT:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    log_start = cluster.log.stat().st_size if cluster.log.exists() else 0
    # pg_ctl hands these paths to a shell, in double quotes; relative ones hold nothing to expand.
    command = ["pg_ctl", "start", "-s", "-w", "-t", str(START_SECONDS), "-D", cluster.data.name]
    command += ["-l", str(cluster.log.relative_to(cluster.folder)), "-o", "-c config_file=postgresql.conf"]
    done = programs.run(command, cluster.account, seconds=START_SECONDS + 10, folder=cluster.folder, keep=(lock,))
    if done.returncode != 0:
        raise _did_not("Postgres did not start", done.stderr + _log_since(cluster, log_start), cluster)


def _did_not(what: str, words: str, cluster: cluster_home.Cluster) -> errors.NoPostgres:
    """The error for a program that failed; of what it said, the last line that names a cause is quoted."""
    lines = [line.strip() for line in words.splitlines() if line.strip()] or ["no reason was given"]
    causes = [line[found.start() :] for line in lines if (found := CAUSE.search(line))] or lines[:1]
    if "No space left on device" in words:
        hint = DISK_HINT
    elif "did not start in time" in words:
        hint = f"It may still be recovering: see {cluster.log} and try again; nothing is lost."
    else:
        hint = f"Nothing was changed. The whole story is in {cluster.log}."
    return errors.NoPostgres(f"{what}: {causes[-1]}", hint=hint)


def _log_since(cluster: cluster_home.Cluster, start: int) -> str:
    if not cluster.log.exists():
        return ""
    return cluster.log.read_bytes()[start:].decode(errors="replace")


def _read_pid_file(cluster: cluster_home.Cluster) -> Postmaster | None:
    """What the data directory's lock file says; `miscadmin.h` of PostgreSQL numbers its lines."""
    try:
        lines = (cluster.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 5 or not lines[0].isdigit():
        return None
    return Postmaster(int(lines[0]), Path(lines[4]), ready=len(lines) > 7 and lines[7].strip() == "ready")


def _answers(folder: Path) -> bool:
    """Whether a postmaster listens on the socket in `folder`; its backends do not hold that open."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(_socket_file(folder)))
        except (ConnectionError, FileNotFoundError, TimeoutError):
            return False
    return True


def _socket_file(folder: Path) -> Path:
    return folder / f".s.PGSQL.{cluster_home.PORT}"


def _shared_memory() -> str:
    """`posix`, unless this is a Linux without a usable /dev/shm."""
    if sys.platform != "linux":
        return "posix"
    folder = Path("/dev/shm")  # noqa: S108 - where Linux keeps POSIX shared memory
    return "posix" if folder.is_dir() and shutil.disk_usage(folder).free > 2**24 else "mmap"


def _literal(text: str) -> str:
    """`text` as a string of postgresql.conf."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
