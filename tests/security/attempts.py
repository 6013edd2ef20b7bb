"""The escape corpus as data: read, run as one login, judged by what happened and by what must not have."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from pocketlet import errors
from pocketlet.db import pool, reader

FOLDER = Path(__file__).parent
EVIDENCE = (FOLDER / "evidence.sql").read_bytes()
CANARY = "canary-7f3a9c"
#: Half a second for an attempt that a limit has to end: that one does matters here, not which. All others end by
#: themselves, on a busy machine, too.
BRIEF, PATIENT = reader.Limits(seconds=0.5), reader.Limits(seconds=30)
LOGINS = {
    "reader": "mallory_ro",
    "gate": "mallory_ro",
    "trial": "mallory_try",
    "bound": "mallory_bnd",
    "app": "mallory",
    "peer": "alice",
    "platform": "pd_api",
}
EXPECTATIONS = ("refused", "bounded", "harmless", "residue")
#: query_canceled, configuration_limit_exceeded, too_many_connections; and the gate's own estimate.
LIMITS = {"57014", "53400", "53300", "cost"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt by one login. `states` are the SQLSTATEs that count as refused."""

    name: str
    steps: tuple[tuple[str, str], ...]
    expected: str
    states: frozenset[str]

    def __str__(self) -> str:
        return f"{self.name}-{self.steps[-1][0]}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: the SQLSTATE (empty if it worked), all that came back, and its last step."""

    state: str
    said: str
    step: int


def entries() -> dict[str, dict[str, object]]:
    """Every entry of the corpus by `class/name`."""
    found: dict[str, dict[str, object]] = {}
    for path in sorted((FOLDER / "corpus").glob("*.toml")):
        for group, named in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found |= {f"{group}/{name}": entry for name, entry in named.items()}
    return found


def attempts() -> Iterator[Attempt]:
    """One attempt for each login that an entry names; what a reader is refused, a trial and a bound reader are, too."""
    for name, entry in entries().items():
        for expected in EXPECTATIONS:
            named = list(entry.get(expected, ()))
            if expected == "refused" and "reader" in named and "sql" in entry:
                named += ["trial", "bound"]
            for login in named:
                states = set(entry.get("state", ())) or {"42501"}
                if login == "gate":
                    states |= {"42501", "42601"}
                yield Attempt(name, tuple(_steps(entry, login)), expected, frozenset(states))


def _steps(entry: dict[str, object], login: str) -> Iterator[tuple[str, str]]:
    if "steps" in entry:
        yield from ((who, statement) for who, statement in entry["steps"])
        return
    statements = [entry["sql"]] if isinstance(entry["sql"], str) else entry["sql"]
    yield from ((login, statement) for statement in statements)


async def run(database: pool.Database, attempt: Attempt) -> Outcome:
    """Runs the steps until one fails; consecutive steps of one login share its connection."""
    said = ""
    number = 0
    while number < len(attempt.steps):
        login = attempt.steps[number][0]
        end = number
        while end < len(attempt.steps) and attempt.steps[end][0] == login:
            end += 1
        statements = [statement for _, statement in attempt.steps[number:end]]
        if login == "gate":
            outcome = await _through_gate(database, statements, BRIEF if attempt.expected == "bounded" else PATIENT)
        else:
            outcome = await _directly(database, login, statements)
        said += outcome.said
        if outcome.state:
            return Outcome(outcome.state, said, number + outcome.step)
        number = end
    return Outcome("", said, len(attempt.steps) - 1)


async def _directly(database: pool.Database, login: str, statements: list[str]) -> Outcome:
    said: list[str] = []
    async with database.login(LOGINS[login]) as conn:
        conn.add_notice_handler(lambda notice: said.append(notice.message_primary or ""))
        if login in ("reader", "trial", "bound"):
            await conn.execute("SET default_transaction_read_only = off")
        for number, statement in enumerate(statements):
            try:
                await _simple(conn, statement, said)
            except psycopg.Error as error:
                return Outcome(error.sqlstate or "unknown", f"{said} {error}", number)
    return Outcome("", str(said), len(statements) - 1)


async def _simple(conn: pool.Conn, statement: str, said: list[str]) -> None:
    """The simple protocol, which admits several statements: the attacker's choice."""
    cursor = conn.cursor()
    if statement.startswith("COPY") and statement.endswith("STDOUT"):
        async with cursor.copy(statement) as copy:
            said += [bytes(chunk).decode() async for chunk in copy]
        return
    await cursor.execute(statement)
    if cursor.description:
        said += [str(row) for row in await cursor.fetchall()]


async def _through_gate(database: pool.Database, statements: list[str], limits: reader.Limits) -> Outcome:
    said = ""
    for number, statement in enumerate(statements):
        try:
            said += str((await reader.query(database, LOGINS["gate"], statement, limits=limits)).rows)
        except errors.GateRefusal as error:
            cause = error.__cause__
            state = (cause.sqlstate or "unknown") if isinstance(cause, psycopg.Error) else "cost"
            return Outcome(state, f"{said} {error}", number)
    return Outcome("", said, len(statements) - 1)


async def evidence(judge: pool.Conn) -> dict[str, str]:
    """What must be the same before and after each attempt."""
    rows = await (await judge.execute(EVIDENCE)).fetchall()
    return {row["subject"]: row["value"] for row in rows}


def verdict(attempt: Attempt, outcome: Outcome) -> str:
    """What is wrong with the outcome; empty if it is as expected."""
    if CANARY in outcome.said:
        return f"it read what is alice's: {outcome.said}"
    ended = f"step {outcome.step + 1}: {outcome.state or 'it worked'}: {outcome.said[:200]}"
    if attempt.expected == "refused" and outcome.state not in attempt.states:
        return f"not refused with {sorted(attempt.states)}; {ended}"
    if attempt.expected == "bounded" and outcome.state not in LIMITS | attempt.states:
        return f"no limit ended it; {ended}"
    if attempt.expected in ("harmless", "residue") and outcome.state:
        return f"expected to work; {ended}"
    several = len({login for login, _ in attempt.steps}) > 1
    if several and outcome.step < len(attempt.steps) - 1:
        return f"the preparation failed; {ended}"
    return ""
