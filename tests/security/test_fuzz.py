"""A thousand random statements through the gate, on both versions: nothing is written, every answer is a plain one."""

import asyncio
import random
import tomllib

import attempts
import pytest

from pocketlet import errors
from pocketlet.db import pool, reader

COUNT = 1000
AT_ONCE = 10
LIMITS = reader.Limits(seconds=0.5, rows=20, bytes=16 * 1024, cost=1e5)
PARTS: dict[str, list[str]] = tomllib.loads((attempts.FOLDER / "fuzz.toml").read_text(encoding="utf-8"))
SURROGATE = "\ud800"


def mostly(chance: random.Random, usual: str, rare: str) -> str:
    return chance.choice(PARTS[rare if chance.random() < 0.08 else usual])


def select(chance: random.Random, depth: int = 0) -> str:
    """A SELECT, more or less."""
    columns = ", ".join(mostly(chance, "sound", "hostile") for _ in range(chance.randint(1, 3)))
    nested = depth < 2 and chance.random() < 0.2
    source = f"({select(chance, depth + 1)}) m" if nested else mostly(chance, "own", "foreign")
    where = f" WHERE {mostly(chance, 'sound', 'hostile')} IS NOT NULL" if chance.random() < 0.3 else ""
    return f"SELECT {columns} FROM {source}{where}"


def statement(chance: random.Random) -> str:
    """A statement: well-formed, hostile, or damaged."""
    read, write, tail = select(chance), chance.choice(PARTS["writes"]), chance.choice(PARTS["tails"])
    forms = (
        read,
        read + tail,
        f"/* {write} */ {read}",
        f"SELECT * FROM ({read}) AS outermost",
        f"WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 50) {read}",
        f"WITH x AS ({read}) {read}{tail}",
        f"WITH x AS ({write} RETURNING *) {read}",
        f"{read}; {write}",
        f"{write}; {read}",
        write + tail,
        f"{chance.choice(['EXPLAIN ', 'EXPLAIN ANALYZE ', 'ANALYZE ', 'VERBOSE ', 'CREATE VIEW v AS '])}{read}",
    )
    text = chance.choice(forms)
    for _ in range(chance.choice([0, 0, 0, 1, 3])):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice([*PARTS["junk"], SURROGATE]) + text[at + chance.randint(0, 2) :]
    return text


async def answer(database: pool.Database, text: str) -> bool:
    """Whether it was read, not refused; any other end is a failure of the test."""
    try:
        rows = await reader.query(database, attempts.LOGINS["gate"], text, limits=LIMITS)
    except errors.GateRefusal as refusal:
        said = str(refusal)
        assert len(said.splitlines()) == 1, text
        assert len(said) < 1000, text
        assert attempts.CANARY not in said, text
        return False
    assert len(rows.rows) <= LIMITS.rows, text
    assert attempts.CANARY not in str(rows.rows), text
    return True


@pytest.mark.parametrize("seed", range(2))
async def test_random_statements(arena: pool.Database, seed: int) -> None:
    chance = random.Random(seed)
    read = 0
    async with arena.setup() as judge:
        before = await attempts.evidence(judge)
        for _ in range(COUNT // 2 // AT_ONCE):
            texts = [statement(chance) for _ in range(AT_ONCE)]
            read += sum(await asyncio.gather(*(answer(arena, text) for text in texts)))
            assert await answer(arena, "SELECT 1")
        assert await attempts.evidence(judge) == before
    # A grammar that makes only nonsense, or nothing bad, would prove little.
    assert COUNT // 20 < read < COUNT // 2 - COUNT // 10
