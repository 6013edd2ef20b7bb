"""A throw-away Postgres 15 from Debian's package, reached by URL with passwords, as an external server is."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketlet.platform import accounts

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "only-for-this-test"


def missing() -> bool:
    """Whether this machine has no Postgres 15."""
    return not (PROGRAMS / "postgres").exists()


@contextmanager
def running() -> Iterator[str]:
    """The URL of a database on it that does not exist yet. The server and its data are gone afterwards."""
    account = accounts.for_server()
    user = account.name if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg15-"))
    data = folder / "data"
    secret = folder / "password"
    secret.write_text(PASSWORD)
    for path in (folder, secret):
        accounts.give(path, account)
    try:
        login = ["-U", "postgres", f"--pwfile={secret}", "-A", "scram-sha-256"]
        _run("initdb", "-D", data, "-N", "-E", "UTF8", *login, user=user)
        settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c jit=off"
        _run("pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", settings, user=user)
        try:
            yield f"postgresql://postgres:{PASSWORD}@/pocketlet?host={folder}"
        finally:
            _run("pg_ctl", "stop", "-w", "-D", data, "-m", "immediate", user=user)
    finally:
        shutil.rmtree(folder)


def _run(program: str, *arguments: str | Path, user: str | None) -> None:
    command = [PROGRAMS / program, *arguments]
    # pg_ctl's server would keep a pipe open: it writes to its own log.
    subprocess.run(command, user=user, check=True, stdout=subprocess.DEVNULL, cwd="/")
