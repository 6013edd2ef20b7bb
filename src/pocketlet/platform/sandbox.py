"""Runs code that a model wrote, shut in: no network, no secrets, no files of the machine, and limits on everything.

The shutting-in is done by `jail`, a program of its own, with what Linux itself offers to Python: no other program is
needed. Where a part of it can't be had, nothing is run. `docs/concepts/sandbox.md` says what holds, and what does not.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pocketlet import crashing, errors

NAME = re.compile(r"\w[\w .-]{0,99}")
PROGRAM = Path(__file__).with_name("jail.py")
GRACE = 10.0  # seconds for setting up and clearing away
FIX = (
    "Pocketlet must run as root with CAP_SYS_ADMIN, or as a user who may make user namespaces: sysctl "
    "user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1 (Debian), "
    "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container, a seccomp profile that allows unshare. "
    "Or take `code` off `tools` in agent.toml."
)


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` by the clock, `cpu` seconds of each process; bytes of `memory` (each process), `scratch` (the folder),
    `file_size` and `output` (stdout, and stderr); how many `processes`, `open_files`, `inodes`, `files` given back.
    """

    seconds: int = 10
    cpu: int = 10
    memory: int = 256 << 20
    scratch: int = 16 << 20
    file_size: int = 8 << 20
    output: int = 64 << 10
    processes: int = 8
    open_files: int = 64
    inodes: int = 512
    files: int = 32


@dataclass(frozen=True, slots=True)
class Ran:
    """What the code left. `exit_code` is below 0 if a signal ended it; `files`: new or changed ones of its folder.

    `stopped`: time, output, cpu, killed (by the kernel, for memory or processor time), or nothing.
    """

    stdout: str
    stderr: str
    exit_code: int
    files: Mapping[str, bytes]
    stopped: str


@crashing.io
async def run(code: str, files: Mapping[str, bytes], limits: Limits) -> Ran:
    """Runs Python code (standard library only) in a folder with `files`, the only place that it can write to.

    Raises errors.BadInput for files that it can't be given, errors.Refused where it can't be shut in.
    """
    if wrong := [name for name in files if not NAME.fullmatch(name)]:
        raise errors.BadInput(f"A file can't be called {wrong[0][:100]!r} in the sandbox.")
    if sum(map(len, files.values())) > limits.scratch // 2:
        raise errors.BadInput(f"The files are larger than {limits.scratch // 2} bytes.")
    if not sys.platform.startswith("linux"):
        raise errors.Refused("Code can only be shut in on Linux.", hint=FIX)
    blobs = (code.encode("utf-8", "replace"), *files.values())
    request = {
        "python": os.path.realpath(sys.executable),
        "stdlib": sysconfig.get_path("stdlib"),
        "limits": asdict(limits),
        "files": list(files),
        "sizes": [len(blob) for blob in blobs],
    }
    head = json.dumps(request).encode()
    reply = await _ask(b"".join((len(head).to_bytes(4, "big"), head, *blobs)), limits)
    try:
        return _read(reply)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise errors.Failed("The sandbox gave no answer that makes sense.") from error


async def _ask(request: bytes, limits: Limits) -> bytes:
    process = await asyncio.create_subprocess_exec(
        os.path.realpath(sys.executable), "-I", "-S", "-B", str(PROGRAM),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={}, cwd="/", start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limits.seconds + GRACE):
            return await _talk(process, request, 3 * limits.output + 2 * limits.scratch)
    except TimeoutError as error:
        raise errors.Failed("The sandbox did not end in time and was killed.") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it and the sandbox's first one, with which all others die
                os.killpg(process.pid, signal.SIGKILL)
        if process.stdin:
            process.stdin.close()
        await process.wait()


async def _talk(process: asyncio.subprocess.Process, request: bytes, most: int) -> bytes:
    """The reply, of at most so many bytes. The input stays open: its end is how the program learns that we are gone."""
    if process.stdin is None or process.stdout is None:
        raise errors.Failed
    reply = bytearray()
    try:
        process.stdin.write(request)
        await process.stdin.drain()
        while (part := await process.stdout.read(1 << 16)) and len(reply) <= most:
            reply += part
    except ConnectionError as error:
        raise errors.Failed("The sandbox ended before it was told what to do.") from error
    return bytes(reply)


def _read(reply: bytes) -> Ran:
    start = 4 + int.from_bytes(reply[:4], "big")
    head: dict[str, Any] = json.loads(reply[4:start])
    if why := head.get("refused"):
        raise errors.Refused(f"The code can't be shut in on this machine, so it was not run ({why}).", hint=FIX)
    sizes = [*head["sizes"], *(size for _, size in head["files"])]
    parts: list[bytes] = []
    for size in sizes:
        parts.append(reply[start : start + size])
        start += size
    if start != len(reply):
        raise ValueError("cut short")
    out, err, *contents = parts
    files = {str(name): content for (name, _), content in zip(head["files"], contents, strict=True)}
    code = head["exit_code"] if head["exit_code"] is not None else -int(signal.SIGKILL)
    return Ran(out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), int(code), files, str(head["stopped"]))


#: Each line tries something that must not work, and prints what did.
TRIALS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tries(what, act):
    try:
        act()
    except Exception:
        return
    print(what)
import socket
tries("it reached the network", lambda: socket.create_connection(("127.0.0.1", 1), 1))
tries("it opened a socket", lambda: socket.socket())
tries("it read /etc", lambda: os.listdir("/etc"))
tries("it read /proc", lambda: os.listdir("/proc"))
tries("it read home folders", lambda: os.listdir("/home"))
tries("it read root's home", lambda: os.listdir("/root"))
tries("it wrote outside its folder", lambda: open("/x", "w"))
tries("it became root", lambda: os.setuid(0))
if libc.unshare(0x10000000) == 0: print("it made a namespace of users")
if libc.ptrace(0, 0, 0, 0) == 0: print("it could be traced")
if os.getppid() != 1 or os.getuid() == 0: print("it is not apart from other processes or users")
if [name for name in os.environ if name not in ("LD_LIBRARY_PATH", "LC_CTYPE")]: print("it has an environment")
"""


async def probe() -> list[str]:
    """Why code can't be shut in here, each with what was tried; empty if it can. It is tried for real."""
    try:
        ran = await run(TRIALS, {}, Limits())
    except errors.PocketletError as error:
        return [f"{error} {error.hint}".strip()]
    if ran.exit_code != 0:
        return [f"The trial ended with {ran.exit_code} ({ran.stopped}): {ran.stderr.strip()[-300:]} {FIX}"]
    return [f"Code that was shut in for a trial was not: {line}. {FIX}" for line in ran.stdout.splitlines()]
