"""`python serving.py HOME PORT`: the pages and the API of a home, and no worker; prints the port."""

import asyncio
import sys

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
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
