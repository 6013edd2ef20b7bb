"""Whether the disk under the home has room: below a share of it no new work is begun, so that what runs can end."""

import logging
import os
import shutil
from pathlib import Path

from pocketlet.db import pool
from pocketlet.platform import notices

log = logging.getLogger(__name__)
#: What keys begin with; the machine follows. While such a notice is open, no slot is begun (sql/queries/slots.sql).
PROBLEM = "disk:low:"
SHARE = 0.05  # of the disk
ENOUGH = 5_000_000_000  # bytes that are enough, however large the disk is
FORGOTTEN = 600.0  # seconds after which a machine that tells of its disk no more holds nothing up: its worker is gone


async def look(
    database: pool.Database, home: Path, *, share: float = SHARE, enough: int = ENOUGH, host: str = ""
) -> bool:
    """Opens or ends the notice on a disk that is nearly full; whether it is. A disk that can't be asked says nothing.

    `share`: the least that must be free; `host`: another machine than this one.
    """
    try:
        disk = shutil.disk_usage(home)
    except OSError as error:
        log.warning("how much room the disk of %s has could not be seen: %s", home, error)
        return False
    low = disk.free < disk.total * share and disk.free < enough
    host = host or os.uname().nodename
    async with database.api() as conn:
        if low:
            free = f"{disk.free // 1_000_000} MB are free"
            title = f"The disk of {home} on {host} is nearly full ({free}): nothing new is begun."
            hint = "Free some space; what is due is kept and begun then."
            await notices.report(conn, notices.Notice(f"{PROBLEM}{host}", title, hint, count=1))
        else:
            await notices.resolve(conn, f"{PROBLEM}{host}", "there is room again")
        await notices.resolve_stale(conn, PROBLEM, FORGOTTEN, "no worker there tells of it any more")
    return low
