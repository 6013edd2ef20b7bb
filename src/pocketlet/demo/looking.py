"""After the story: its pages in a browser, with the stand-in for the model, until somebody stops it."""

import asyncio
import signal
from collections.abc import Callable

from pocketlet import errors, settings
from pocketlet.agents import agent as agents
from pocketlet.demo import stage
from pocketlet.demo import world as worlds
from pocketlet.platform import database as databases

EVERY = 1.0  # seconds between two looks whether the worker is alive


async def serve(config: settings.Settings, started: Callable[[str], None]) -> None:
    """Serves the pages of the demo's agent; `started` is told their address. Ends on SIGINT or SIGTERM.

    Raises errors.NotFound if the story was not told here, errors.Conflict if another demo or worker runs here.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with stage.only_demo(config.home):
        async with databases.opened(config) as database:
            await stage.check_alone(database)
            async with database.api() as conn:
                if stage.AGENT not in {one.name for one in await agents.everyone(conn)}:
                    hint = "Tell it first: `pocketlet demo crm`."
                    raise errors.NotFound("The demo's story was not told in this home yet.", hint=hint)
            sent = config.home / "demo" / "sent"
            with worlds.made(config.home, sent, own_model=bool(config.model), port=config.port) as world:
                started(world.url)
                while not stop.is_set():
                    world.look_after()
                    try:
                        await asyncio.wait_for(stop.wait(), EVERY)
                    except TimeoutError:
                        continue
