"""One model call of a run: reserved before it, settled after it, tried again while that makes sense and money lasts."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pocketlet import clock, errors
from pocketlet.agents import agent as agents
from pocketlet.agents import briefing as briefings
from pocketlet.agents import journal, runs
from pocketlet.agents import manifest as manifests
from pocketlet.db import pool
from pocketlet.platform import breaker, ledger, prices
from pocketlet.platform.gateways import endpoints, models

ATTEMPTS = 4
FIRST_PAUSE = 0.5  # seconds; doubles with each attempt
LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Thinker:
    """Calls models on behalf of runs. `lookup` gives a provider's variable; `override` is POCKETLET_MODEL."""

    database: pool.Database
    gateway: models.Gateway
    lookup: Callable[[str], str | None]
    override: str | None = None
    pause: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    def model_of(self, manifest: manifests.Manifest) -> str:
        """The model of an agent's runs here."""
        return self.override or manifest.model

    async def think(
        self,
        run: runs.Run,
        agent: agents.Agent,
        manifest: manifests.Manifest,
        briefing: briefings.Briefing,
        state: journal.State,
    ) -> journal.Step:
        """The next reply, written to journal and ledger in one transaction.

        Raises errors.OverBudget, errors.UnknownPrice, errors.NoModel (ModelPaused too), errors.BadModelReply,
        errors.LostRun.
        """
        endpoint = endpoints.resolve(briefing.model, self.lookup)
        price = price_for(endpoint, manifest)
        request = briefing.request(state.turns, seed=run.id)
        canonical = models.canonical(request, briefing.model)
        entry = ledger.Entry(
            agent_id=agent.id,
            agent=agent.name,
            run_id=run.id,
            step_seq=state.next_seq,
            kind=run.kind,
            model=briefing.model,
            reserved=prices.worst_case(price, len(canonical), briefing.max_tokens),
            price=price,
            learning=_learning(run),
        )
        began = clock.monotonic()
        reply, reserved = await self._ask(endpoint, request, entry, manifest)
        took = clock.monotonic() - began
        step = journal.model_step(state.next_seq, reply, hashlib.sha256(canonical).hexdigest(), run.label, took)
        async with self.database.api() as conn:
            await breaker.note(conn, ok=True)
            await ledger.settle(conn, reserved, entry, reply.usage)
            await journal.write(conn, run.id, run.fence, step)
        return step

    async def _ask(
        self, endpoint: endpoints.Endpoint, request: models.Request, entry: ledger.Entry, manifest: manifests.Manifest
    ) -> tuple[models.Reply, int]:
        """The reply and its open reservation. A call that may have been billed stays reserved, for ever."""
        for attempt in range(1, ATTEMPTS + 1):
            async with self.database.api() as conn:
                await breaker.check(conn)
                reserved = await ledger.reserve(conn, entry, manifest.budget)
            try:
                return await self.gateway.complete(endpoint, request), reserved
            except asyncio.CancelledError:  # cut at a deadline, say: it may cost, and is under way no more
                async with self.database.api() as conn:
                    await ledger.note_failure(conn, reserved, "The call was cut off.", billed=True)
                raise
            except errors.PocketletError as error:
                billed = isinstance(error, errors.ModelTimeout | errors.BadModelReply)
                async with self.database.api() as conn:
                    if breaker.counts(error):
                        await breaker.note(conn, ok=False, why=str(error))
                    await ledger.note_failure(conn, reserved, str(error), billed=billed)
                if attempt == ATTEMPTS or not _worth_another_try(error):
                    raise
                await self.pause(_wait(error, attempt))
        raise errors.NoModel  # not reached: the last attempt raises


def _learning(run: runs.Run) -> str:
    """The learning budget that a run is booked on: its curation's, or, for what learning does by itself, its day's."""
    if run.kind == "manager":
        return str(run.id)
    if run.curation is None:
        return ""
    return str(run.curation) if run.curation else f"{run.agent_id}:{clock.now().date().isoformat()}"


def price_for(endpoint: endpoints.Endpoint, manifest: manifests.Manifest) -> prices.Price:
    """The price of a model's calls. Raises errors.UnknownPrice.

    agent.toml's is for agent.toml's model; for another it only helps out where no table knows it.
    """
    if manifest.price is None or endpoint.model == manifest.model:
        return prices.price_of(endpoint, manifest.price)
    try:
        return prices.price_of(endpoint, None)
    except errors.UnknownPrice:
        return prices.price_of(endpoint, manifest.price)


def _worth_another_try(error: errors.PocketletError) -> bool:
    return isinstance(error, errors.ModelBusy | errors.ModelTimeout | errors.BadModelReply | errors.ModelUnreachable)


def _wait(error: errors.PocketletError, attempt: int) -> float:
    asked = error.retry_after if isinstance(error, errors.ModelBusy) else None
    return min(asked if asked is not None else FIRST_PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
