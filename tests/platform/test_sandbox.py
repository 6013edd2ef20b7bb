"""The sandbox: each way out of it that is tried here fails, and where it can't be shut, nothing is run."""

import asyncio
import os
import platform
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from escapes import ATTACKS, TOOLS

from pocketlet import errors, settings
from pocketlet.db import pool
from pocketlet.platform import sandbox, vault

LIMITS = sandbox.Limits()
JAIL = sandbox.PROGRAM.read_text(encoding="utf-8")


async def run(code: str, files: dict[str, bytes] | None = None, **limits: int) -> sandbox.Ran:
    return await sandbox.run(textwrap.dedent(code), files or {}, replace(LIMITS, **limits))


async def attack(code: str, **limits: int) -> sandbox.Ran:
    """What an attack left; it must have come to its end without an escape."""
    ran = await run(TOOLS + textwrap.dedent(code) + "\nprint('tried')\n", **limits)
    assert "ESCAPED" not in ran.stdout, ran
    assert ran.stdout.endswith("tried\n"), ran
    assert (ran.exit_code, ran.stopped) == (0, ""), ran
    return ran


def named(name: str) -> list[int]:
    """Processes of this machine that call themselves so."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name:
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


async def until(condition: Callable[[], bool]) -> None:
    """What other processes bring about; pytest's own timeout ends the wait."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_this_machine_can_shut_code_in() -> None:
    assert await sandbox.probe() == []


async def test_code_reads_its_files_and_leaves_some() -> None:
    ran = await run(
        """
        import csv, json, pathlib, sys
        rows = list(csv.DictReader(open("in put.csv")))
        json.dump(rows, open("out.json", "w"))
        pathlib.Path("sub").mkdir()
        pathlib.Path("sub/größe.txt").write_text("ä")
        print(len(rows), "rows")
        print("careful", file=sys.stderr)
        sys.exit(3)
        """,
        {"in put.csv": b"a,b\n1,2\n"},
    )
    assert (ran.stdout, ran.stderr, ran.exit_code, ran.stopped) == ("1 rows\n", "careful\n", 3, "")
    assert ran.files == {"out.json": b'[{"a": "1", "b": "2"}]', "sub/größe.txt": "ä".encode()}


async def test_a_changed_file_comes_back_and_one_that_was_only_read_does_not() -> None:
    ran = await run("open('a', 'w').write('2')", {"a": b"1", "b": b"1"})
    assert ran.files == {"a": b"2"}


@pytest.mark.parametrize("name", ["../a", "/a", ".a", "a/b", "", "a\0", "a\n", "x" * 101, "large"])
async def test_names_of_files_are_plain_and_their_size_is_limited(name: str) -> None:
    with pytest.raises(errors.BadInput):
        await run("", {name: bytes(LIMITS.scratch // 2 + 1) if name == "large" else b""})


async def test_a_mistake_is_told() -> None:
    ran = await run("1/0")
    assert ran.exit_code == 1
    assert "ZeroDivisionError" in ran.stderr


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_way_out(name: str) -> None:
    await attack(ATTACKS[name])


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncGenerator[tuple[int, Path, list[str]]]:
    """Servers that write down who comes: on a port of this machine, a socket file, and an abstract name."""
    came: list[str] = []

    def note(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def come(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.append(name)
            writer.close()

        return come

    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0pocketlet-{os.getpid()}")
    path = tmp_path / "socket"
    async with (
        await asyncio.start_server(note("port"), "127.0.0.1", 0) as port,
        await asyncio.start_unix_server(note("file"), path),
        await asyncio.start_unix_server(note("abstract"), sock=abstract),
    ):
        yield port.sockets[0].getsockname()[1], path, came


async def test_no_server_of_this_machine_is_reached(listener: tuple[int, Path, list[str]]) -> None:
    port, path, came = listener
    await attack(
        f"""
        def unix(path):
            one = socket.socket(socket.AF_UNIX)
            one.connect(path)
        tries(lambda: socket.create_connection(("127.0.0.1", {port}), 1), lambda: unix({str(path)!r}),
              lambda: unix("\\0pocketlet-{os.getpid()}"))
        """
    )
    assert came == []


async def test_the_network_is_another_one_even_without_the_filter(
    listener: tuple[int, Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two layers: here the filter of system calls is taken away."""
    port, path, came = listener
    without(monkeypatch, tmp_path, "    filter_calls()\n", "    check()\n")
    await attack(
        f"""
        def unix(path):
            one = socket.socket(socket.AF_UNIX)
            one.connect(path)
        tries(lambda: socket.create_connection(("127.0.0.1", {port}), 1), lambda: unix({str(path)!r}),
              lambda: unix("\\0pocketlet-{os.getpid()}"), lambda: socket.create_connection(("192.0.2.1", 80), 1),
              lambda: call("mount", b"none", b"/scratch", b"tmpfs", 0, None), lambda: os.setuid(0))
        """
    )
    assert came == []


async def test_keys_and_the_database_are_out_of_reach(config: settings.Settings, db: pool.Database) -> None:
    vault.key(config.home)
    key, postgres = config.home / "key", Path(str(db.conninfo("pd_api")["host"]))
    assert key.is_file()
    assert list(postgres.glob(".s.PGSQL.*"))
    hidden = [str(key), str(postgres), str(config.home), "/home", "/var"]
    await attack(
        f"""
        tries(*(lambda path=path: os.stat(path) for path in {hidden!r}),
              lambda: open({str(key)!r}).read(), lambda: os.listdir({str(postgres)!r}))
        """
    )


async def test_links_lead_nowhere(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    ran = await attack(
        f"""
        for n, path in enumerate(({str(secret)!r}, "/etc/shadow", "/main.py", "/", "/dev/zero", "link0")):
            os.symlink(path, f"link{{n}}")
        tries(lambda: open("link0").read(), lambda: os.link("/main.py", "hard"), lambda: open("link1").read())
        os.mkfifo("pipe")
        open("plain", "w").write("x"); open("hidden", "w").write("x"); os.chmod("hidden", 0)
        deep = "/scratch"
        os.chdir("/scratch")
        for _ in range(100):
            os.mkdir("d" * 200); os.chdir("d" * 200)
        """
    )
    assert ran.files == {"plain": b"x"}


async def test_no_process_outlives_its_run() -> None:
    name = f"stay{os.getpid()}"
    ran = await run(
        f"""
        import ctypes, os, signal, time
        for number in range(1, 32):
            if number not in (9, 19): signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                ctypes.CDLL(None).prctl(15, b"{name}", 0, 0, 0)
                os.write(1, b"there")
                time.sleep(60)
            os._exit(0)
        time.sleep(0.3)
        """
    )
    assert (ran.stdout, ran.exit_code, ran.stopped) == ("there", 0, "")
    assert named(name) == []


async def test_a_fork_bomb_stops_at_the_limit() -> None:
    name = f"bomb{os.getpid()}"
    ran = await run(
        f"""
        import ctypes, os, time
        ctypes.CDLL(None).prctl(15, b"{name}", 0, 0, 0)
        forked = 0
        try:
            while True:
                if os.fork() == 0: time.sleep(60)
                forked += 1
        except BlockingIOError:
            print(forked)
        """
    )
    assert ran.stdout == f"{LIMITS.processes - 1}\n"
    assert named(name) == []
    ran = await run("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass", seconds=1)
    assert ran.stopped == "time"


async def test_memory_is_limited() -> None:
    ran = await run("x = []\nwhile True: x.append(bytearray(1 << 20))")
    assert ran.exit_code == 1
    assert "MemoryError" in ran.stderr


async def test_the_folder_is_limited() -> None:
    ran = await attack(
        """
        def fill(size):
            for n in range(1000):
                with open(f"f{n}", "wb") as file: file.write(bytes(size))
        tries(lambda: fill(1 << 20))
        for n in range(1000):
            if os.path.exists(f"f{n}"): os.unlink(f"f{n}")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        tries(lambda: open("large", "wb", buffering=0).truncate(9 << 20))
        os.path.exists("large") and os.unlink("large")
        tries(lambda: fill(0))
        """
    )
    assert len(ran.files) == LIMITS.files


async def test_output_is_cut_and_its_author_stopped() -> None:
    for stream in ("stdout", "stderr"):
        ran = await run(f"import sys\nwhile True: sys.{stream}.write('x' * 1000)")
        assert ran.stopped == "output"
        assert getattr(ran, stream) == "x" * LIMITS.output


async def test_time_and_processor_time_are_limited() -> None:
    ran = await run("import time\nprint('a', flush=True)\ntime.sleep(60)", seconds=1)
    assert (ran.stdout, ran.stopped) == ("a\n", "time")
    ran = await run("print('so far')\nwhile True: pass", cpu=1)
    assert (ran.stdout, ran.stopped) == ("so far\n", "cpu")
    ran = await run("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", cpu=1)
    assert ran.stopped == "killed"


async def test_a_crash_is_told() -> None:
    ran = await run("import ctypes; ctypes.string_at(0)")
    assert (ran.exit_code, ran.stopped) == (-signal.SIGSEGV, "")


async def test_output_that_looks_like_a_reply_is_output() -> None:
    forged = '{"exit_code": 0, "stopped": "", "sizes": [0, 0], "files": [["x", 1]]}'
    ran = await run(f"import os\nos.write(1, (80).to_bytes(4, 'big') + {forged!r}.encode())")
    assert ran.stdout.endswith(forged)
    assert ran.files == {}


async def test_code_ends_when_it_is_no_longer_wanted() -> None:
    name = f"gone{os.getpid()}"
    code = f"import ctypes, time\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\ntime.sleep(60)"
    waiting = asyncio.create_task(run(code))
    await until(lambda: bool(named(name)))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: not named(name))


async def test_code_ends_when_pocketlet_is_killed() -> None:
    name = f"left{os.getpid()}"
    code = f"import ctypes, time\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\ntime.sleep(60)"
    program = "import asyncio\nfrom pocketlet.platform import sandbox\n"
    program += f"asyncio.run(sandbox.run({code!r}, {{}}, sandbox.Limits()))"
    with subprocess.Popen([sys.executable, "-c", program]) as process:  # noqa: ASYNC220
        await until(lambda: bool(named(name)))
        process.kill()
    await until(lambda: not named(name))


async def test_many_at_once_do_not_share_their_limits() -> None:
    code = "import os, time\nfor _ in range(6):\n    if os.fork() == 0: time.sleep(60)\nprint('ok')"
    assert [ran.stdout for ran in await asyncio.gather(*(run(code) for _ in range(4)))] == ["ok\n"] * 4


def without(monkeypatch: pytest.MonkeyPatch, folder: Path, *walls: str, instead: str = "") -> None:
    """A jail that lacks some of its walls."""
    source = JAIL
    for wall in walls:
        assert source.count(wall) == 1, wall
        source = source.replace(wall, instead)
    (folder / "jail.py").write_text(source, encoding="utf-8")
    monkeypatch.setattr(sandbox, "PROGRAM", folder / "jail.py")


#: A wall, and what stands in its place.
WALLS = {
    "rights": ("    drop_rights(owner)\n", ""),
    "new privileges": ('    did("no new privileges", libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0))\n', ""),
    "the filter": ("    filter_calls()\n", ""),
    "sockets": ('"socket": (41, 198), ', ""),
    "user namespaces": ('"unshare": (272, 97), ', ""),
    "the network": ("NEWPID | NEWNET | (NEWUSER", "NEWPID | (NEWUSER"),
    "processes": ("NEWIPC | NEWPID | NEWNET | (NEWUSER", "NEWIPC | NEWNET | (NEWUSER"),
    "messages between processes": ("NEWUTS | NEWIPC | NEWPID | NEWNET | (", "NEWUTS | NEWPID | NEWNET | ("),
    "a root that can be written to": ('    lock(Path("/"), ATTR_RDONLY, below=0)\n', ""),
    "a folder too many": ('(ROOT / "scratch").mkdir()\n', '(ROOT / "scratch").mkdir(); (ROOT / "etc").mkdir()\n'),
    "limits": ("limits[\"open_files\"], limits[\"open_files\"])", "limits[\"open_files\"], 1)"),
    "the machine": ('MACHINES = {"x86_64"', 'MACHINES = {"pdp11"'),
}  # fmt: skip


@pytest.mark.parametrize("name", WALLS)
async def test_where_a_wall_is_missing_nothing_is_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "the machine" and platform.machine() != "x86_64":
        pytest.skip("written for x86_64")
    wall, instead = WALLS[name]
    without(monkeypatch, tmp_path, wall, instead=instead)
    with pytest.raises(errors.Refused, match="so it was not run") as refused:
        await run("print('ran')")
    assert "user namespaces" in refused.value.hint
    [reason] = await sandbox.probe()
    assert str(refused.value) in reason


async def test_inside_a_sandbox_there_is_no_second_one() -> None:
    """A machine that does not let go: the jail's own program, where namespaces are forbidden."""
    ran = await run(JAIL.replace('if __name__ == "__main__":\n    main()', "leave_everyone()"))
    assert "Operation not permitted" in ran.stderr or "No such file" in ran.stderr


async def test_an_ordinary_user_has_the_same_walls(tmp_path: Path) -> None:
    """Root and others go different ways: a user namespace comes first for these."""
    if os.geteuid() != 0:
        pytest.skip("this user is one: all other tests are about it")
    candidates = [sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"]
    reachable = [path for path in candidates if try_as_nobody([path, "-I", "-S", "-c", ""]).returncode == 0]
    if not reachable:
        pytest.skip("nobody can't reach a Python here")
    attacks = [TOOLS + textwrap.dedent(code) for code in ATTACKS.values()]
    program = f"""
import asyncio, sys
sys.path[:0] = [{str(sandbox.PROGRAM.parents[2])!r}]
from pocketlet.platform import sandbox
async def main():
    print(await sandbox.probe())
    for code in {attacks!r}:
        ran = await sandbox.run(code, {{}}, sandbox.Limits())
        print(ran.exit_code, ran.stopped, [line for line in ran.stdout.splitlines() if "ESCAPED" in line])
asyncio.run(main())
"""
    done = try_as_nobody([reachable[0], "-B", "-c", program])
    assert (done.stderr, done.stdout.splitlines()) == ("", ["[]", *["0  []"] * len(ATTACKS)])


def try_as_nobody(command: list[str]) -> "subprocess.CompletedProcess[str]":
    """Runs a program as an ordinary user. Needs root."""
    try:
        return subprocess.run(
            command,
            user=65534,
            group=65534,
            extra_groups=(),
            cwd="/",
            env={},
            capture_output=True,
            text=True,
            check=False,
        )
    except PermissionError:
        return subprocess.CompletedProcess(command, 126, "", "")
