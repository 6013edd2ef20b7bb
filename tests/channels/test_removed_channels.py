"""A channel that is gone is no problem any more."""

import asyncio
from collections.abc import Awaitable, Callable

import outside_http
import owner_ground

from pocketlet.learning import hearing
from pocketlet.platform.channels import definitions


async def remove(ground: owner_ground.Ground, name: str) -> None:
    async with ground.database.api() as conn:
        await definitions.remove(conn, name)


class Leaving(outside_http.Telegram):
    """A bot whose channel is removed while it is asked; then it does not know us."""

    def __init__(self, leave: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self._leave = leave
        self.faults.append((401, {}))

    async def _answer(self, writer: asyncio.StreamWriter, path: str, headers: dict[str, str], body: bytes) -> None:
        await self._leave()
        await super()._answer(writer, path, headers, body)


async def test_what_was_wrong_with_a_channel_goes_with_it(
    ground: owner_ground.Ground, bot: outside_http.Telegram
) -> None:
    gone = await ground.telegram(bot)
    stays = await ground.mail()
    for channel in (gone, stays):
        for what in ("failing", "deaf"):
            await ground.report(f"channel:{channel.id}:{what}", f"{channel.name} is {what}.")
    await remove(ground, gone.name)
    open_now = {row["problem"] for row in await ground.notices()}
    assert open_now == {f"channel:{stays.id}:failing", f"channel:{stays.id}:deaf"}


async def test_a_channel_that_is_removed_while_we_listen_is_not_told_of(ground: owner_ground.Ground) -> None:
    async def leave() -> None:
        await remove(ground, "telegram")

    bot = Leaving(leave)
    async with bot.listening():
        await ground.telegram(bot)
        await hearing.listen(ground.database, ground.post, seconds=0)
    assert len(bot.requests) == 1
    assert (await ground.rows("SELECT id FROM pocketlet.channel"), await ground.notices()) == ([], [])
