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
    return not sys.platform.startswith("linux") or user(peer, ours) in (os.geteuid(), 0)


def user(peer: tuple[str, int], ours: tuple[str, int]) -> int | None:
    """The number of the user whose process connected from `peer` to `ours`; None: not known.

    What nobody holds any more (inode 0) would pass for root's: a connection that was closed at once.
    """
    if peer[0] != LOOPBACK or not sys.platform.startswith("linux"):
        return None
    for line in TABLE.read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if (fields[1], fields[2]) == (_spelled(*peer), _spelled(*ours)) and fields[9] != "0":
            return int(fields[7])
    return None


def _spelled(address: str, port: int) -> str:
    """As the table has it: the bytes of the address in this machine's order, in hexadecimal."""
    return f"{int.from_bytes(bytes(map(int, address.split('.'))), sys.byteorder):08X}:{port:04X}"
