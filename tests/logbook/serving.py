"""`python serving.py HOME PORT`: the pages and the API of a home, and no worker; prints the port."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from pocketlet import settings
from pocketlet.platform import database
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app


@asynccontextmanager
async def running(home: Path, port: int = 0) -> AsyncGenerator[int]:
    """The listener in a process of its own, on `port` or (0) any; killed (SIGKILL) at the end of the block."""
    command = [sys.executable, __file__, str(home), str(port)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        yield int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


async def serve(home: str, port: int) -> None:
    """Until it is killed."""
    config = settings.read({"POCKETLET_HOME": home})
    async with (
        database.opened(config) as opened,
        listener.listening(port, lambda number: app.made(opened, config, number)) as number,
    ):
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
