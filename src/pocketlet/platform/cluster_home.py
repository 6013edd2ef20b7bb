"""Where an embedded cluster lives, and who owns what there.

    <home>/start.lock         held while a server is initialised, started or stopped
    <home>/users.lock         shared by every process that uses the server
    <home>/postgres/          the cluster's folder (below), or
    <home>/cluster            the path of the cluster's folder, if that is elsewhere
    <folder>/                 belongs to the caller, so that the server can't change its own rules
        postgresql.conf pg_hba.conf pg_ident.conf    written at every start
        server.lock           held by every process of the server
        home                  the home this folder belongs to; line 2: durable or throw-away
        data/ socket/ log/    belong to the server's OS user, 0700

Root's server runs as another OS user, which can't enter most private folders. No permission of an existing
folder is changed for it: such a home gets its cluster's folder under `settings.ROOT_HOME`.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pocketlet import errors, settings
from pocketlet.platform import accounts, locks

PORT = 5432
#: Bytes; sun_path has room for 107 on Linux and for 103 on macOS.
LONGEST_SOCKET_PATH = 103


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster's folder, the OS user its server runs as, and the folder for copies of the programs."""

    folder: Path
    account: accounts.Account
    shelf: Path

    @property
    def data(self) -> Path:
        """Postgres' data directory; it exists once it is complete."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.folder / "log" / "server.log"

    @property
    def lock(self) -> Path:
        """The file that every process of the server has locked."""
        return self.folder / "server.lock"


def make_home(home: Path) -> None:
    """Make the folder `home` unless it exists: private, except that root's lets the server's user through."""
    if home == settings.ROOT_HOME and os.geteuid() == 0:
        _make_root_home()
    elif not home.is_dir():
        home.mkdir(parents=True, exist_ok=True)  # another process may be as far
        home.chmod(0o711 if os.geteuid() == 0 else 0o700)


def find(home: Path) -> Cluster | None:
    """The cluster of `home`, or None if it has none yet.

    Raises NoPostgres if it is recorded elsewhere and gone from there, Refused if it is another OS user's.
    """
    folder, shelf = home / "postgres", home / "binaries"
    elsewhere = home / "cluster"
    if elsewhere.is_file():
        folder, shelf = Path(elsewhere.read_text().strip()), settings.ROOT_HOME / "binaries"
        if not folder.is_dir():
            raise errors.NoPostgres(
                f"The data of {home} was kept in {folder}, which is gone.",
                hint=f"Bring that folder back, or delete {elsewhere} to start with an empty Postgres.",
            )
    if not folder.is_dir():
        return None
    _refuse_strangers(folder)
    data = folder / "data"
    return Cluster(folder, accounts.owner(data) if data.is_dir() else accounts.for_server(), shelf)


def make(home: Path, *, fast: bool) -> Cluster:
    """The cluster of `home`, with its folders; call it with `start.lock` held.

    `fast`: if new, it holds nothing precious: it may be deleted once its home no longer refers to it.
    Raises as `find` does, and NoPostgres if the server's OS user can't enter the folder.
    """
    if find(home) is None:
        if accounts.may_enter(accounts.for_server(), home):
            (home / "postgres").mkdir()
        else:
            _settle_elsewhere(home, fast=fast)
    cluster = find(home)
    if cluster is None:
        raise errors.Failed(f"The cluster of {home} vanished while it was made.")
    cluster.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    if not accounts.may_enter(cluster.account, cluster.folder):
        raise errors.NoPostgres(
            f"The OS user {cluster.account.name}, as which Postgres runs, can't enter {cluster.folder}.",
            hint="Let others pass through its parent folders again (chmod o+x), as when it was made.",
        )
    private_folder(cluster, "log")
    before, throw_away = _recorded(cluster.folder)
    record_home(cluster.folder, home, fast=fast and (before is None or throw_away))
    return cluster


def private_folder(cluster: Cluster, name: str) -> Path:
    """The folder `name` in the cluster's, which only the server's OS user (and root) can open."""
    folder = cluster.folder / name
    folder.mkdir(mode=0o700, exist_ok=True)
    accounts.give(folder, cluster.account)
    return folder


def record_home(folder: Path, home: Path, *, fast: bool) -> None:
    """Note in a cluster's folder whose it is."""
    write(folder / "home", f"{home}\n{'throw-away' if fast else 'durable'}\n")


def socket_folder(cluster: Cluster) -> Path:
    """The folder for the server's socket: in the cluster's, or a temporary one if that path is unusable.

    Raises NoPostgres if the temporary folder is unusable too.
    """
    inside = cluster.folder / "socket"
    if _fits_socket(inside):
        return private_folder(cluster, "socket")
    note = cluster.folder / "socket-folder"
    if note.is_file():
        recorded = Path(note.read_text().strip())
        if _is_own_folder(recorded, cluster.account):
            return recorded
    made = Path(tempfile.mkdtemp(prefix="pl-"))
    if not (_fits_socket(made) and accounts.may_enter(cluster.account, made.parent)):
        made.rmdir()
        raise errors.NoPostgres(
            f"The path of {inside} is too long for a socket, and {made.parent} can't be used instead.",
            hint="Set POCKETLET_HOME to a shorter path, or TMPDIR to a short folder that everyone may enter.",
        )
    accounts.give(made, cluster.account)
    write(note, f"{made}\n")
    return made


def write(path: Path, text: str) -> None:
    """Replace the text file at `path` as a whole, readable for everyone who may enter its folder."""
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(text)
    scratch.chmod(0o644)
    scratch.replace(path)


def orphans() -> Iterator[Path]:
    """Cluster folders under `settings.ROOT_HOME` that no home refers to, whether in use or not."""
    for folder in sorted((settings.ROOT_HOME / "clusters").glob("*/")):
        home = _recorded(folder)[0]
        if home is None or not _refers(home, folder):
            yield folder


def _make_root_home() -> None:
    settings.ROOT_HOME.mkdir(parents=True, exist_ok=True)
    settings.ROOT_HOME.chmod(0o711)


def _refuse_strangers(folder: Path) -> None:
    if folder.stat().st_uid != os.geteuid():
        owner, me = accounts.owner(folder).name, accounts.caller().name
        raise errors.Refused(
            f"The Postgres in {folder} belongs to the OS user {owner}, and you are {me}.",
            hint=f"Run Pocketlet as {owner}, or give {me} another POCKETLET_HOME.",
        )


def _settle_elsewhere(home: Path, *, fast: bool) -> None:
    """Make a cluster's folder under root's own home and refer to it from `home`."""
    if os.geteuid() != 0:
        raise errors.NoPostgres(f"You may not enter {home}.", hint="Set POCKETLET_HOME to a folder of your own.")
    _make_root_home()
    clusters = settings.ROOT_HOME / "clusters"
    clusters.mkdir(exist_ok=True)
    clusters.chmod(0o711)
    # Without the lock another process could sweep the new folder away before its home refers to it.
    with locks.exclusive_file(settings.ROOT_HOME / "clusters.lock"):
        _sweep()
        folder = Path(tempfile.mkdtemp(prefix="", dir=clusters))
        record_home(folder, home, fast=fast)
        write(home / "cluster", f"{folder}\n")


def _sweep() -> None:
    """Delete orphans that hold nothing precious and have no living server.

    A durable cluster stays: its home may only be unmounted for the moment.
    """
    for folder in list(orphans()):
        if not _recorded(folder)[1] and (folder / "data").is_dir():
            continue
        descriptor = locks.open_file(folder / "server.lock")
        try:
            if locks.try_exclusive(descriptor):
                shutil.rmtree(folder)
        finally:
            os.close(descriptor)


def _recorded(folder: Path) -> tuple[Path | None, bool]:
    """The home that a cluster's folder belongs to, and whether the cluster is a throw-away one."""
    note = folder / "home"
    if not note.is_file():
        return None, False
    home, _, kind = note.read_text().strip().partition("\n")
    return Path(home), kind == "throw-away"


def _refers(home: Path, folder: Path) -> bool:
    note = home / "cluster"
    return note.is_file() and Path(note.read_text().strip()) == folder


def _fits_socket(folder: Path) -> bool:
    """Whether Postgres and libpq both take `folder` for a socket: neither too long nor read as a list."""
    path = os.fsencode(folder / f".s.PGSQL.{PORT}")
    return len(path) <= LONGEST_SOCKET_PATH and not set(path) & set(b',"\n')


def _is_own_folder(path: Path, account: accounts.Account) -> bool:
    return path.is_dir() and not path.is_symlink() and path.stat().st_uid == account.uid
