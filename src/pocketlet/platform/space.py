"""Whether the disk under the home has room: below a share of it no new work is begun, so that what runs can end."""

import shutil
from pathlib import Path

from pocketlet.db import pool
from pocketlet.platform import notices

PROBLEM = "disk:low"  # while a notice of this problem is open, no slot is begun (sql/queries/slots.sql)
SHARE = 0.05  # of the disk
ENOUGH = 5_000_000_000  # bytes that are enough, however large the disk is


async def look(database: pool.Database, home: Path, *, share: float = SHARE, enough: int = ENOUGH) -> bool:
    """Opens or ends the notice on a disk that is nearly full; whether it is. `share`: the least that must be free."""
    disk = shutil.disk_usage(home)
    low = disk.free < disk.total * share and disk.free < enough
    async with database.api() as conn:
        if low:
            title = f"The disk of {home} is nearly full ({disk.free // 1_000_000} MB are free): nothing new is begun."
            hint = "Free some space; what is due is kept and begun then."
            await notices.report(conn, notices.Notice(PROBLEM, title, hint, count=1))
        else:
            await notices.resolve(conn, PROBLEM, "there is room again")
    return low
