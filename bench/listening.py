"""`python -m bench.listening HOME [PORT]`: the pages and the API of a home, and no worker; prints the port."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from pocketlet import settings
from pocketlet.platform import database
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app


async def serve(home: str, port: int) -> None:
    """Until it is killed."""
    config = settings.read({"POCKETLET_HOME": home})
    async with (
        database.opened(config) as opened,
        listener.listening(port, lambda number: app.made(opened, config, number)) as number,
    ):
        print(number, flush=True)
        await asyncio.Event().wait()


@asynccontextmanager
async def serving(home: Path, port: int = 0) -> AsyncGenerator[int]:
    """The port of such a process, which is killed at the end; 0: any free one."""
    # -P: the folder beside this file has a `calendar` of its own
    command = [sys.executable, "-P", __file__, str(home), str(port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
