"""Which user of this machine is at the other end of a loopback connection, as Linux tells."""

import os
import sys
from pathlib import Path

TABLE = Path("/proc/net/tcp")
LOOPBACK = "127.0.0.1"


def same_user(peer: tuple[str, int], ours: tuple[str, int]) -> bool:
    """Whether the process that connected from `peer` to `ours` (address, port) runs as our user, or as root.

    Another user of the machine, and a proxy under a user of its own, does not. Where there is no such table (macOS),
    whoever connects by loopback counts as ours.
    """
    if peer[0] != LOOPBACK or ours[0] != LOOPBACK:
        return False
    if not sys.platform.startswith("linux"):
        return True
    known = {_spelled(*peer), _spelled(*ours)}
    for line in TABLE.read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1] == _spelled(*peer) and fields[2] in known:
            return int(fields[7]) in (os.geteuid(), 0)
    return False


def _spelled(address: str, port: int) -> str:
    """As the table has it: the bytes of the address in this machine's order, in hexadecimal."""
    return f"{int.from_bytes(bytes(map(int, address.split('.'))), sys.byteorder):08X}:{port:04X}"
