"""A receiver that is killed once a delivery is committed, and before its sender is told so."""

import asyncio
import os
import signal
import sys

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pocketlet import settings
from pocketlet.platform import database
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web


def dying(inner: ASGIApp) -> ASGIApp:
    """The application, with SIGKILL in the place of its first 202."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message.get("status") == 202:
                os.kill(os.getpid(), signal.SIGKILL)
            await send(message)

        await inner(scope, receive, sending)

    return call


async def serve() -> None:
    """Prints its port and waits for its end."""
    config = settings.read()
    async with (
        database.opened(config) as opened,
        listener.listening(0, lambda port: dying(web.made(opened, config, port))) as port,
    ):
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
