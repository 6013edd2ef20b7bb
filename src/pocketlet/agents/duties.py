"""What a worker does beside its runs: begins what is due, settles what ended, watches mailboxes, tells and hears."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from pocketlet import settings
from pocketlet.agents import approving, telling
from pocketlet.agents.triggers import stored
from pocketlet.agents.waking import changes, health, looking, mailboxes, rounds, settling
from pocketlet.db import pool
from pocketlet.platform import identity, space, vault
from pocketlet.platform.channels import opening
from pocketlet.platform.gateways import mailbox, naming, submission

TELLING = 2.0  # seconds between two looks at what the owner is to be told, or has said
SELDOM = 30.0  # seconds between two looks at what may be late


@dataclass(frozen=True, slots=True)
class Ears:
    """What a layer above makes of the owner's words. `listen`: one look at a chat. `answer_back`: passes answers on.
    `hear`: takes a mail in if it answers a message of ours, and whether it did.
    """

    listen: Callable[[pool.Database, opening.Post], Awaitable[object]]
    answer_back: Callable[[pool.Database, opening.Post], Awaitable[object]]
    hear: Callable[[pool.Conn, opening.Post, bytes, identity.Verdict], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Worker:
    """The worker whose duties they are: its row's number, the installation's name, and what hears the owner."""

    number: int
    instance: str
    ears: Ears | None


async def expire(database: pool.Database) -> None:
    """Questions that nobody answered in time are answered with no."""
    async with database.api() as conn:
        await approving.expire(conn)


def of_a_command(database: pool.Database) -> AbstractAsyncContextManager[None]:
    """What goes on beside the run that a command waits for: it begins nothing else, and tells nobody."""
    return rounds.attending(database, {settling.settle: rounds.EVERY, expire: SELDOM})


@asynccontextmanager
async def attending(database: pool.Database, config: settings.Settings, worker: Worker) -> AsyncGenerator[None]:
    """All duties, while the block lasts."""
    outside = _Outside(database, config, worker.ears)
    sight = mailboxes.Sight(worker.instance, naming.asking, hear=outside.hear)
    turns: dict[rounds.Duty, float] = {
        **rounds.TURNS,
        expire: SELDOM,
        settling.late: SELDOM,
        outside.room: SELDOM,
        outside.tell: TELLING,
        outside.look_at_servers: rounds.EVERY,
        outside.look_at_tables: rounds.EVERY,
        changes.tidy: 2 * SELDOM,
        health.Probe(config.home, outside.server).probe: health.EVERY,
    }
    if worker.ears:
        turns |= {outside.listen: TELLING, outside.answer_back: TELLING}
    async with (
        rounds.attending(database, turns),
        mailboxes.watching(database, worker.number, outside.account_of, sight),
    ):
        yield


@dataclass(frozen=True, slots=True)
class _Outside:
    """Duties that need more than the database: the mail server and the keys, as they are set at that moment."""

    database: pool.Database
    config: settings.Settings
    ears: Ears | None

    async def server(self) -> submission.Submission | None:
        return await server(self.database, self.config)

    async def post(self) -> opening.Post:
        return await post(self.database, self.config)

    async def tell(self, database: pool.Database) -> int:
        return await telling.tell(database, await self.post())

    async def room(self, database: pool.Database) -> None:
        await space.look(database, self.config.home)

    async def look_at_servers(self, database: pool.Database) -> int:
        return await looking.look(database, self.config.home, looking.SERVERS)

    async def look_at_tables(self, database: pool.Database) -> int:
        return await looking.look(database, self.config.home, looking.TABLES)

    async def listen(self, database: pool.Database) -> object:
        return self.ears and await self.ears.listen(database, await self.post())

    async def answer_back(self, database: pool.Database) -> object:
        return self.ears and await self.ears.answer_back(database, await self.post())

    async def hear(self, conn: pool.Conn, raw: bytes, verdict: identity.Verdict) -> bool:
        return self.ears is not None and await self.ears.hear(conn, await self.post(), raw, verdict)

    async def account_of(self, trigger: stored.Trigger) -> mailbox.Account:
        async with self.database.api() as conn:
            return await mailboxes.account(conn, vault.key(self.config.home), trigger)


async def server(database: pool.Database, config: settings.Settings) -> submission.Submission | None:
    """The mail server as it is set now. Raises errors.BadSetting."""
    return submission.read((await variables(database, config))("POCKETLET_SMTP_URL"))


async def post(database: pool.Database, config: settings.Settings) -> opening.Post:
    """What telling needs, as it is set now. Raises errors.BadSetting."""
    return opening.Post(config.home, await server(database, config), config.url)


async def variables(database: pool.Database, config: settings.Settings) -> Callable[[str], str | None]:
    """Looks a provider's variable up: the environment first, then the settings that are sealed now."""
    environment = settings.provider_environment()
    async with database.api() as conn:
        sealed = await vault.opened(conn, vault.key(config.home)) if await vault.names(conn) else {}

    def lookup(name: str) -> str | None:
        return environment.get(name) or sealed.get(name)

    return lookup
