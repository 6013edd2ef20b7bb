"""The audit trail: what was decided and what the owner changed, one row each, in a hash chain."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pocketlet import errors
from pocketlet.db import pool, queries

Q = queries.load("audit")
FORMAT = "pocketlet audit 1"
START = bytes(32)
AT_ONCE = 2000  # rows
ANCHOR = re.compile(r"(\d{1,18}) ([0-9a-f]{64})( .*)?")
Actor = Literal["owner", "gate", "worker"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written down. `action` is `thing.verb` (`secret.grant`), `subject` what it was done to, by its name.

    `agent` is filled in by the database where `agent_id` alone is given. `details` go through JSON, and hold
    no secret: rows are for good.
    """

    actor: Actor
    action: str
    subject: str
    agent_id: int | None = None
    agent: str | None = None
    run_id: int | None = None
    step_seq: int | None = None
    verdict: str | None = None
    rule: str | None = None
    details: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Mark:
    """A row's number and hash. Number 0 is the place before the first row."""

    id: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """`rows` were found in order up to `head`; `broken` is the first row that is not as it was written, and `why`."""

    rows: int
    head: Mark
    broken: int | None = None
    why: str = ""


async def write(conn: pool.Conn, entry: Entry) -> int:
    """Adds a row in the caller's transaction; its number.

    Writers take turns until they commit: write last in a transaction, after all locks on other rows are taken.
    What Postgres can't store in a text is replaced: a text from outside must not keep a decision out of the trail.
    """
    texts = {name: _storable(value) for name, value in asdict(entry).items() if isinstance(value, str)}
    values = asdict(entry) | texts | {"details": pool.jsonb(dict(entry.details))}
    [row] = await (await conn.execute(Q["write"], values)).fetchall()
    return row["id"]


def _storable(text: str) -> str:
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


async def verify(conn: pool.Conn, *anchors: Mark) -> Verified:
    """Computes the whole chain again, without the database's own function; `anchors` were taken outside earlier."""
    found = await (await conn.execute(Q["head"])).fetchone()
    if found is None:
        return Verified(0, Mark(0, START), 1, "the record of the chain's end is gone")
    marks = [*anchors, Mark(found["id"], found["hash"])]
    last = Mark(0, START)
    if why := _missed(last, marks):
        return Verified(0, last, 0, why)
    async with conn.transaction(), conn.cursor(name="audit") as cursor:
        cursor.itersize = AT_ONCE
        await cursor.execute(Q["chain"])
        async for row in cursor:
            why = _wrong(last, row) or _missed(Mark(row["id"], row["hash"]), marks)
            if why:
                return Verified(last.id, last, min(row["id"], last.id + 1), why)
            last = Mark(row["id"], row["hash"])
    if last.id < max(mark.id for mark in marks):
        return Verified(last.id, last, last.id + 1, "rows are missing at the end")
    return Verified(last.id, last)


def _wrong(last: Mark, row: dict[str, Any]) -> str:
    if row["id"] < last.id + 1:
        return "its number can't be"
    if row["id"] > last.id + 1:
        return "it is missing"
    if row["previous"] != last.hash:
        return "it does not follow the row before it"
    return "" if _hash([FORMAT, last.hash.hex(), *row["fields"]]) == row["hash"] else "it was changed"


def _missed(found: Mark, marks: Sequence[Mark]) -> str:
    wrong = any(mark.id == found.id and mark.hash != found.hash for mark in marks)
    return "it is not the row that was there when its hash was taken" if wrong else ""


def _hash(fields: Sequence[str | None]) -> bytes:
    digest = hashlib.sha256()
    for text in fields:
        if text is None:
            digest.update(b"\x00")
        else:
            encoded = text.encode()
            digest.update(b"\x01" + len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def read_anchors(text: str) -> list[Mark]:
    """The marks in what `pocketlet audit anchor` printed, any number of lines or one JSON document.

    Raises errors.BadInput if there is none, or something else.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if text.lstrip().startswith("{"):
        lines = [_json_anchor(text)]
    found = [ANCHOR.fullmatch(line.strip()) for line in lines]
    marks = [Mark(int(match[1]), bytes.fromhex(match[2])) for match in found if match]
    if not marks or len(marks) < len(lines):
        raise errors.BadInput("This is no anchor.", hint="`pocketlet audit anchor > FILE` makes one.")
    return marks


def _json_anchor(text: str) -> str:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return ""
    return f"{found.get('row')} {found.get('hash')}"


async def listing(
    conn: pool.Conn,
    *,
    agent: str | None = None,
    run_id: int | None = None,
    below: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Rows, newest first, of one agent (by its name, also of one that is gone) or one run, or before a row."""
    values = {"agent": agent, "run": run_id, "below": below, "limit": limit}
    return await (await conn.execute(Q["listing"], values)).fetchall()
