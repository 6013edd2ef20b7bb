"""The embedded Postgres: started by its first user, stopped by its last, whatever was killed in between."""

import multiprocessing
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pocketlet import errors, settings
from pocketlet.platform import accounts, binaries, cluster_home, server

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes the OS user")
needs_user = pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everyone may enter; root's own home lies in it too."""
    folder = Path(tempfile.mkdtemp(prefix="pocketlet-test-"))
    folder.chmod(0o755)
    monkeypatch.setattr(settings, "ROOT_HOME", folder / "root")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def home(place: Path) -> Iterator[Path]:
    """A home that does not exist yet; what runs there is stopped in the end."""
    folder = place / "home"
    yield folder
    server.stop(folder)


def ask(of: server.Server, query: str, user: str = "postgres") -> object:
    """The first value that the server answers."""
    with psycopg.connect(host=of.host, port=of.port, user=user, dbname="postgres") as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def fill(path: Path) -> None:
    """Write to the file until its disk is full."""
    with path.open("wb", buffering=0) as file:
        while file.write(bytes(2**16)):
            pass


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another Python process with `server` and `home` (its first argument) at hand."""
    lines = f"import sys; from pathlib import Path; from pocketlet.platform import server\n{code}"
    argv = [sys.executable, "-c", lines, *map(str, arguments)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_first_lease_makes_and_starts_and_the_last_release_stops(home: Path) -> None:
    first = server.acquire(home, fast=True)
    second = server.acquire(home, fast=True)
    assert first.server == second.server
    first.release()
    first.release()
    assert ask(second.server, "SELECT 1") == 1
    assert server.status(home).running
    second.release()
    found = server.status(home)
    assert (found.running, found.pid, found.version) == (False, None, "18")
    assert found.binaries is not None
    assert found.binaries.startswith("18.")
    assert found.disk_free > 0


def test_data_outlive_a_stop_and_settings_are_ours(home: Path) -> None:
    with server.acquire(home) as lease:
        ask(lease.server, "CREATE TABLE kept AS SELECT 7 AS n")
        expected = {
            "listen_addresses": "",
            "fsync": "on",
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "jit": "off",
            "max_prepared_transactions": "0",
            "TimeZone": "UTC",
        }
        assert {name: ask(lease.server, f"SHOW {name}") for name in expected} == expected
    with server.acquire(home, fast=True) as lease:
        assert ask(lease.server, "SELECT n FROM kept") == 7
        assert ask(lease.server, "SHOW fsync") == "off"


def test_the_calling_os_user_may_be_any_role(home: Path) -> None:
    with server.acquire(home, fast=True) as lease:
        ask(lease.server, "CREATE ROLE reader LOGIN")
        assert ask(lease.server, "SELECT session_user::text", user="reader") == "reader"


@needs_root
def test_another_os_user_may_not_log_in(home: Path) -> None:
    with server.acquire(home, fast=True) as lease:
        Path(lease.server.host).chmod(0o711)
        Path(lease.server.host, ".s.PGSQL.5432").chmod(0o777)
        programs = binaries.reachable(accounts.for_server(), home / "binaries")
        for name in ("nobody", "postgres"):
            if name not in {entry.pw_name for entry in pwd.getpwall()}:
                continue
            entry = pwd.getpwnam(name)
            command = ["psql", "-h", lease.server.host, "-U", "postgres", "-c", "SELECT 1"]
            done = programs.run(command, accounts.Account(name, entry.pw_uid, entry.pw_gid), seconds=20)
            assert done.returncode != 0
            assert "Peer authentication failed" in done.stderr


def test_six_processes_make_one_cluster(home: Path) -> None:
    code = """
lease = server.acquire(Path(sys.argv[1]), fast=True)
print(server.status(Path(sys.argv[1])).pid, lease.server.data.stat().st_ino, flush=True)
sys.stdin.read()
lease.release()
"""
    processes = [run_python(code, home) for _ in range(6)]
    said = {process.stdout.readline() for process in processes if process.stdout}
    assert len(said) == 1
    assert server.status(home).running
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0] * 6
    assert not server.status(home).running


def test_a_killed_user_does_not_keep_the_server_for_ever(home: Path) -> None:
    code = "lease = server.acquire(Path(sys.argv[1]), fast=True); print('up', flush=True); sys.stdin.read()"
    process = run_python(code, home)
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    process.kill()
    process.communicate()
    assert server.status(home).running
    server.acquire(home, fast=True).release()
    assert not server.status(home).running


def test_a_killed_postmaster_is_started_again_without_loss(home: Path) -> None:
    first = server.acquire(home)
    ask(first.server, "CREATE TABLE kept AS SELECT 7 AS n")
    pid = server.status(home).pid
    assert pid
    with psycopg.connect(host=first.server.host, port=first.server.port, user="postgres", dbname="postgres"):
        os.kill(pid, signal.SIGKILL)
        while server.status(home).running:
            assert server.status(home).pid in (pid, None)
        with server.acquire(home) as second:
            assert server.status(home).pid != pid
            assert ask(second.server, "SELECT n FROM kept") == 7
    assert ask(first.server, "SELECT n FROM kept") == 7
    first.release()
    assert not server.status(home).running


def test_a_pid_file_with_a_strangers_number_is_no_obstacle(home: Path) -> None:
    with server.acquire(home, fast=True) as lease:
        data = lease.server.data
        left_behind = (data / "postmaster.pid").read_text()
    stranger = f"{os.getppid()}\n{left_behind.partition(chr(10))[2]}"
    (data / "postmaster.pid").write_text(stranger)
    assert not server.status(home).running
    with server.acquire(home, fast=True) as lease:
        assert ask(lease.server, "SELECT 1") == 1


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_initialisation_is_begun_again(home: Path, signal_number: int) -> None:
    """The process is struck while initdb is at work, as seen by the first file of its scratch folder."""
    process = run_python("server.acquire(Path(sys.argv[1]), fast=True)", home)
    while not list(home.glob("postgres/new-*/PG_VERSION")):
        assert process.poll() is None
    os.kill(process.pid, signal_number)
    process.communicate()
    assert process.returncode != 0
    assert not (home / "postgres" / "data").exists()
    with server.acquire(home, fast=True) as lease:
        assert ask(lease.server, "SELECT 1") == 1
    assert not list(home.glob("postgres/new-*"))


def test_stop_ends_a_server_in_use(home: Path) -> None:
    assert not server.stop(home)
    lease = server.acquire(home, fast=True)
    assert server.stop(home)
    assert not server.stop(home)
    lease.release()


def test_data_of_another_version_are_left_alone(home: Path) -> None:
    with server.acquire(home, fast=True) as lease:
        data = lease.server.data
    (data / "PG_VERSION").write_text("15\n")
    with pytest.raises(errors.BadMigration, match=r"PostgreSQL 15.* 18") as caught:
        server.acquire(home, fast=True)
    assert "pg_dump" in caught.value.hint
    (data / "PG_VERSION").write_text("18\n")
    server.acquire(home, fast=True).release()


def test_incomplete_data_are_an_error_and_no_new_start(home: Path) -> None:
    with server.acquire(home, fast=True) as lease:
        data = lease.server.data
    (data / "PG_VERSION").unlink()
    with pytest.raises(errors.NoPostgres, match="PG_VERSION is missing"):
        server.acquire(home, fast=True)


def test_the_servers_own_words_are_quoted(home: Path) -> None:
    with server.acquire(home, fast=True) as lease:
        data = lease.server.data
    (data / "global" / "pg_control").unlink()
    with pytest.raises(errors.NoPostgres, match=r"did not start: .*pg_control") as caught:
        server.acquire(home, fast=True)
    assert "server.log" in caught.value.hint


def test_a_long_path_gets_a_short_socket_folder_that_may_vanish(place: Path) -> None:
    home = place / ("long-" * 20)
    with server.acquire(home, fast=True) as lease:
        assert len(lease.server.host) < 100
        assert ask(lease.server, "SELECT 1") == 1
        shutil.rmtree(lease.server.host)
        with server.acquire(home, fast=True) as again:
            assert again.server.host != lease.server.host
            assert ask(again.server, "SELECT 1") == 1
    shutil.rmtree(again.server.host)


def test_a_path_with_odd_characters_works(place: Path) -> None:
    home = place / 'it\'s "a\\b", $HOME'
    with server.acquire(home, fast=True) as lease:
        assert ask(lease.server, "SELECT 1") == 1
    shutil.rmtree(lease.server.host)


def test_a_home_below_a_file_is_one_clear_sentence(place: Path) -> None:
    (place / "file").write_text("")
    with pytest.raises(errors.NoPostgres, match="Not a directory") as caught:
        server.acquire(place / "file" / "home")
    assert "POCKETLET_HOME" in caught.value.hint


@needs_user
def test_an_unwritable_home_is_one_clear_sentence(home: Path) -> None:
    home.mkdir(mode=0o500)
    with pytest.raises(errors.NoPostgres, match="Permission denied") as caught:
        server.acquire(home)
    assert "POCKETLET_HOME" in caught.value.hint


@needs_root
def test_a_full_disk_is_one_clear_sentence(home: Path) -> None:
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=150m,mode=755", "tmpfs", str(home)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    filler = home / "filler"
    try:
        with filler.open("wb") as file:
            file.write(bytes(60 * 2**20))
        with pytest.raises(errors.NoPostgres, match="MB are free") as caught:
            server.acquire(home, fast=True)
        assert "Free some disk space" in caught.value.hint
        filler.unlink()
        server.acquire(home, fast=True).release()
        with pytest.raises(OSError, match="No space left"):
            fill(filler)
        with pytest.raises(errors.NoPostgres, match="No space left") as caught:
            server.acquire(home, fast=True)
        assert "nothing is lost" in caught.value.hint
        filler.unlink()
        server.acquire(home, fast=True).release()
    finally:
        server.stop(home)
        subprocess.run(["umount", str(home)], check=True)


@needs_root
def test_root_in_a_private_folder_gets_a_cluster_elsewhere(place: Path) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    home = private / "home"
    with server.acquire(home, fast=True) as lease:
        assert lease.server.data.is_relative_to(settings.ROOT_HOME / "clusters")
        assert ask(lease.server, "SELECT 1") == 1
    assert private.stat().st_mode & 0o777 == 0o700
    assert lease.server.data.stat().st_uid != 0
    with server.acquire(home, fast=True) as again:
        assert again.server == lease.server


@needs_root
def test_throw_away_orphans_are_swept_and_durable_ones_kept(place: Path) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    gone, kept, living = (private / name for name in ("gone", "kept", "living"))
    with server.acquire(gone, fast=True) as throw_away, server.acquire(kept) as durable:
        pass
    lease = server.acquire(living, fast=True)
    for folder in (gone, kept, living):
        shutil.rmtree(folder)
    server.acquire(private / "new", fast=True).release()
    assert not throw_away.server.data.exists()
    assert durable.server.data.exists()
    assert ask(lease.server, "SELECT 1") == 1
    assert durable.server.data.parent in list(cluster_home.orphans())
    lease.release()


@needs_root
def test_a_lost_cluster_is_not_replaced_by_an_empty_one(place: Path) -> None:
    private = place / "private"
    private.mkdir(mode=0o700)
    with server.acquire(private, fast=True) as lease:
        pass
    shutil.rmtree(lease.server.data.parent)
    with pytest.raises(errors.NoPostgres, match="which is gone"):
        server.acquire(private, fast=True)


@needs_root
def test_roots_own_home_lets_the_server_through(place: Path) -> None:
    settings.ROOT_HOME.mkdir(mode=0o700)
    with server.acquire(settings.ROOT_HOME, fast=True) as lease:
        assert lease.server.data == settings.ROOT_HOME / "postgres" / "data"


@needs_root
def test_unreachable_programs_are_copied_once(place: Path) -> None:
    """Programs in a folder that only root may enter, as in a venv below /root."""
    account = accounts.for_server()
    source = place / "venv"
    source.mkdir(mode=0o700)
    installed = binaries.find().root
    for name in (binaries.PACKAGE, str(binaries.LIBRARIES)):
        shutil.copytree(installed / name, source / name)
    assert not accounts.may_enter(account, binaries.Binaries(source).program("postgres"))
    (place / "shelf").mkdir()
    (place / "shelf" / "new-interrupted").mkdir()
    copy = binaries.copy_for_all(binaries.Binaries(source), place / "shelf")
    assert not (place / "shelf" / "new-interrupted").exists()
    assert copy.run(["initdb", "--version"], account, seconds=20).stdout.startswith("initdb (PostgreSQL) 18")
    assert copy.run(["psql", "--version"], account, seconds=20).stdout.startswith("psql (PostgreSQL) 18")
    assert binaries.copy_for_all(binaries.Binaries(source), place / "shelf") == copy


def as_nobody(do: Callable[[Path], None], folder: Path) -> int:
    """Run `do(folder)` in a child that is an ordinary OS user; returns the child's exit code."""

    def child() -> None:
        entry = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        do(folder)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


@needs_root
def test_an_ordinary_user_and_then_root(place: Path) -> None:
    entry = pwd.getpwnam("nobody")
    theirs = place / "theirs"
    theirs.mkdir()
    os.chown(theirs, entry.pw_uid, entry.pw_gid)

    def use(folder: Path) -> None:
        for _ in range(2):
            with server.acquire(folder / "home", fast=True) as lease:
                assert ask(lease.server, "SELECT 1") == 1
                assert lease.server.data.stat().st_uid == entry.pw_uid
        assert (folder / "home").stat().st_mode & 0o777 == 0o700

    assert as_nobody(use, theirs) == 0
    with pytest.raises(errors.Refused, match="belongs to the OS user nobody, and you are root"):
        server.acquire(theirs / "home", fast=True)

    def be_refused(folder: Path) -> None:
        (folder / "closed").mkdir(mode=0o500)
        with pytest.raises(errors.NoPostgres, match="Permission denied"):
            server.acquire(folder / "closed", fast=True)

    assert as_nobody(be_refused, theirs) == 0
