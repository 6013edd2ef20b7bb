"""The owner: answers by a rule, never for a stranger's sake, and keeps a record of every word that was said."""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bench.adversary import vectors, world

from pocketlet import errors
from pocketlet.agents import agent as agents
from pocketlet.agents import approving, revisions, runs
from pocketlet.learning import adoption, feedback, kinds

COMMENTS = ("Offer 10 % on late orders.", "Never promise a day.", "Say sorry first.")
EDITED = "We look into it and write again.\n"
TAMPER = b"UPDATE pocketlet.effect SET message = message || '\\x20' WHERE id = %s AND kind = 'mail'"


@dataclass(frozen=True)
class Answer:
    """A yes, bound to the bytes that were shown: `digest` over kind, destination and bytes, as the owner counted it."""

    effect: int
    agent: str
    kind: str
    to: str
    digest: str
    edited: bool = False


@dataclass(frozen=True)
class Rule:
    """A standing rule that the owner made."""

    agent: str
    tool: str
    kind: str
    to: str
    per_day: int


def digest(*parts: bytes) -> str:
    """sha256 over the parts, each after its length in 8 bytes: counted here, so that no code of the worker says it."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


@dataclass
class Owner:
    """`feeds`: the share of runs that get feedback; `retries`: of failed ones that are tried again; `tampers`: of yeses
    after which somebody with the database in hand changes the bytes. `decisions`: (agent, revision) decided on.
    """

    ground: world.World
    dice: random.Random
    feeds: float = 0.12
    tampers: float = 0.06
    retries: float = 0.1
    yes: list[Answer] = field(default_factory=list[Answer])
    noes: int = 0
    rules: list[Rule] = field(default_factory=list[Rule])
    edits: set[int] = field(default_factory=set[int])
    approvals: set[int] = field(default_factory=set[int])
    decisions: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    tampered: set[int] = field(default_factory=set[int])
    seen: set[int] = field(default_factory=set[int])

    async def answer(self) -> None:
        """A word on everything that waits now."""
        async with self.ground.database.api() as conn:
            waiting = await approving.questions(conn)
        names = {person.name: person for person in self.ground.people}
        for row in waiting:
            if row["agent"] in names:
                await self._answer(row, names[row["agent"]])

    async def _answer(self, row: dict[str, Any], person: world.Person) -> None:
        message = bytes(row["message"])
        answer = Answer(
            row["effect"], person.name, row["kind"], row["to"],
            digest(row["kind"].encode(), row["to"].encode(), message),
        )  # fmt: skip
        yes = row["question"] == "send" and self._wanted(row, person) and self.dice.random() < 0.8
        async with self.ground.database.api() as conn:
            try:
                if yes and row["kind"] == "mail" and self.dice.random() < 0.1:
                    edited = await approving.edit(conn, row["approval"], EDITED)
                    self.edits.add(edited.effect)
                    self.yes.append(Answer(row["effect"], person.name, "mail", row["to"], answer.digest, edited=True))
                else:
                    if yes and self.dice.random() < 0.1:
                        await self._allow(conn, row, person)
                    await approving.decide(conn, row["approval"], yes=yes, because="" if yes else "no")
                    self.yes += [answer] if yes else []
                    self.noes += not yes
            except (errors.Conflict, errors.Refused, errors.NotFound):
                return
            self.approvals.add(row["approval"])
            if (
                yes and self.dice.random() < self.tampers
            ):  # somebody with the database in hand, between the yes and the send
                self.tampered.add(row["effect"])
                await conn.execute(TAMPER, (row["effect"],))

    async def _allow(self, conn: Any, row: dict[str, Any], person: world.Person) -> None:
        try:
            await approving.allow(conn, row["approval"], per_day=2)
        except errors.BadInput:  # what it is asked for is no matter of a rule
            return
        to = row["to"].lower() if row["kind"] == "mail" else row["to"]
        self.rules.append(Rule(person.name, row["tool"], row["kind"], to, 2))

    def _wanted(self, row: dict[str, Any], person: world.Person) -> bool:
        """What the owner would say yes to: a destination of the task itself; an operation that was granted."""
        given = self.ground.given.get(row["run"])
        if given is None:
            return False
        if row["kind"] == "mail":
            mine = {given.sender.lower(), world.PARTNER} - {"", vectors.THIEF}
            return row["to"].lower() in mine or row["to"].lower() in given.text
        return any(grant.connection == row["request"]["connection"] for grant in person.grants)

    async def look_at(self, rows: Iterable[dict[str, Any]]) -> None:
        """Once for each run that rests, sometimes: feedback, a stop, or another try of one that failed."""
        for row in rows:
            if row["kind"] == "run" and row["state"] in runs.AT_REST and row["id"] in self.ground.given:
                await self._look(row["id"], row["state"])

    async def _look(self, run: int, state: str) -> None:
        if run in self.seen:
            return
        self.seen.add(run)
        luck = self.dice.random()
        async with self.ground.database.api() as conn:
            try:
                if state == "failed" and luck < self.retries:
                    await kinds.retry(conn, run)
                elif luck < self.feeds:
                    verdict = self.dice.choice(("wrong", "change", "right"))
                    said = "" if verdict == "right" else self.dice.choice(COMMENTS)
                    await feedback.give(conn, run, feedback.Said(verdict, said))
                elif state == "waiting" and luck < 0.3:
                    await runs.stop(conn, run)
            except (errors.Conflict, errors.BadInput, errors.NotFound):
                return

    async def settle(self) -> None:
        """A no to every draft that asks: what a stranger's model proposed is not wanted."""
        for person in self.ground.people:
            async with self.ground.database.api() as conn:
                agent = await agents.get(conn, person.name)
                asked = [row for row in await revisions.history(conn, agent) if row["state"] == "asked"]
            for row in asked:
                number = int(str(row["revision"]))
                async with self.ground.database.api() as conn:
                    try:
                        await adoption.discard(conn, agent, number)
                    except errors.Conflict:
                        continue
                self.decisions.add((person.id, number))
