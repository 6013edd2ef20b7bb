"""A stdio MCP server as a process: an empty environment, a scratch folder, caps, and killed with its group.

The SDK's own transport hands seven variables of ours on and buffers without a limit, so this one stands in its place.
It runs no shell. The server runs as the user that runs Pocketlet: `docs/concepts/mcp.md` says what that means.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from pocketlet import errors

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage

    Inbound = MemoryObjectSendStream[SessionMessage | Exception]
    Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]

MAX_BYTES = 4_000_000  # of all that a server writes in one session
MAX_STRANGE = 200  # lines that are no messages
STDERR_TAIL = 2_000  # bytes of its complaints that are kept
FOLDERS = "/usr/local/bin:/usr/bin:/bin"
GRACE = 2.0  # seconds to leave after its input ended, before it is killed


@dataclass(slots=True)
class Told:
    """What a server left besides its answers: the end of its stderr, and why it was cut off, if it was."""

    stderr: bytes = b""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """A server's command (the program by its path, then its arguments) and the variables that it is given."""

    command: Sequence[str]
    variables: Mapping[str, str] = field(repr=False)

    def environment(self, home: Path) -> dict[str, str]:
        """All that it sees: a path to system programs and to its own folder, the scratch folder, its variables."""
        own = str(Path(self.command[0]).parent)
        return {"PATH": f"{own}:{FOLDERS}", "HOME": str(home), **self.variables}


@dataclass(frozen=True, slots=True)
class _Running:
    """A process with its three pipes."""

    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader


@contextlib.asynccontextmanager
async def started(program: Program, told: Told) -> "AsyncGenerator[Streams]":
    """The server's two streams, for the SDK. Raises errors.ServiceUnreachable if the program can't be started."""
    from mcp.shared.message import SessionMessage

    with tempfile.TemporaryDirectory(prefix="pocketlet-mcp-", ignore_cleanup_errors=True) as scratch:
        running = await _start(program, Path(scratch))
        try:
            inbound, received = anyio.create_memory_object_stream[SessionMessage | Exception](0)
            sent, outbound = anyio.create_memory_object_stream[SessionMessage](0)
            async with inbound, received, sent, outbound, anyio.create_task_group() as group:
                group.start_soon(_read, running, inbound, told)
                group.start_soon(_write, running, outbound, inbound)
                group.start_soon(_complaints, running, told)
                try:
                    yield received, sent
                finally:
                    group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await _end(running)


async def _start(program: Program, scratch: Path) -> _Running:
    try:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=scratch,
            env=program.environment(scratch),
            start_new_session=True,
            umask=0o077,
        )
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise errors.ServiceUnreachable(
            f"The program {program.command[0]} can't be started: {said}.", hint="`pocketlet mcp show NAME` shows it."
        ) from error
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise errors.Failed("A program was started without its pipes.")
    return _Running(process, process.stdin, process.stdout, process.stderr)


async def _read(running: _Running, inbound: "Inbound", told: Told) -> None:
    """Its messages, one a line, until it ends or has written too much; then the session sees the stream end."""
    pending, total, strange = b"", 0, 0
    try:
        while chunk := await running.stdout.read(65_536):
            total += len(chunk)
            *lines, pending = (pending + chunk).split(b"\n")
            for message in map(_message, filter(bytes.strip, lines)):
                if message is None:
                    strange += 1
                else:
                    await inbound.send(message)
            if total > MAX_BYTES or strange > MAX_STRANGE:
                told.fault = "it wrote too much" if total > MAX_BYTES else "it writes lines that are no messages"
                return
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # the session is over
    finally:
        inbound.close()


def _message(line: bytes) -> "SessionMessage | None":
    """A line that is no message (some servers print to stdout) is passed over."""
    import mcp_types
    from mcp.shared.message import SessionMessage

    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        return None


async def _write(running: _Running, outbound: "MemoryObjectReceiveStream[SessionMessage]", inbound: "Inbound") -> None:
    try:
        async for item in outbound:
            message = item.message.model_dump(by_alias=True, mode="json", exclude_unset=True)
            running.stdin.write(json.dumps(message).encode() + b"\n")
            await running.stdin.drain()
    except (OSError, RuntimeError):  # its input is closed: the session must see the end instead of waiting for it
        inbound.close()


async def _complaints(running: _Running, told: Told) -> None:
    while chunk := await running.stderr.read(65_536):
        told.stderr = (told.stderr + chunk)[-STDERR_TAIL:]


async def _end(running: _Running) -> None:
    """Closes its input, waits a moment, and kills whatever is left of its group."""
    running.stdin.close()
    leaving = [
        asyncio.ensure_future(step)
        for step in (running.process.wait(), _drained(running.stdout), _drained(running.stderr))
    ]
    await asyncio.wait(leaving, timeout=GRACE)
    with contextlib.suppress(ProcessLookupError):  # all of it is gone
        os.killpg(running.process.pid, signal.SIGKILL)
    _, late = await asyncio.wait(leaving, timeout=GRACE)
    for task in late:
        task.cancel()
    # A process that left the group may hold the pipes; nothing public closes our ends of them.
    transport = getattr(running.process, "_transport", None)
    if transport is not None:
        transport.close()


async def _drained(stream: asyncio.StreamReader) -> None:
    """Reads to the end, so that a server which still writes can leave; what comes is dropped."""
    while await stream.read(65_536):
        pass
