"""What a running installation listens on: the ports for mail and for HTTP, on loopback alone."""

import json
import re
import signal
from pathlib import Path

import command_line
import pytest


def listening(pid: int) -> set[str]:
    """Addresses of the listening TCP sockets of a process, as hex from the kernel's tables."""
    sockets = {link.readlink().name for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    numbers = {match[1] for name in sockets if (match := re.fullmatch(r"socket:\[(\d+)\]", name))}
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        for line in (Path(f"/proc/{pid}/net") / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in numbers:
                found.add(fields[1])
    return found


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="only Linux tells what a process listens on")
def test_nothing_listens_but_mail_and_http_on_loopback(bare: command_line.Cli) -> None:
    cli = command_line.Cli({**bare.env, "POCKETLET_MAIL_PORT": "0", "POCKETLET_PORT": "0"})
    with cli.process("up", "--json") as up:
        assert up.stdout is not None
        started = json.loads(up.stdout.readline())
        ports = {int(address.partition(":")[2], 16) for address in listening(up.pid)}
        addresses = {address.partition(":")[0] for address in listening(up.pid)}
        up.send_signal(signal.SIGTERM)
        up.communicate()
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}  # 127.0.0.1 and ::1
    assert ports == {int(started[name].rpartition(":")[2]) for name in ("mail", "url")}
