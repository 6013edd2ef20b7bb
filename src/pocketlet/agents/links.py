"""Signed one-time links to a question: whoever holds one sees the exact bytes, and may answer once.

Looking decides nothing: mail scanners and previews open links. The row holds a hash of the token; the token itself is
made from the row and a key outside the database, so neither a backup nor whoever reads rows can answer.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketlet import errors
from pocketlet.agents import approving, report
from pocketlet.db import pool, queries
from pocketlet.platform import audit
from pocketlet.platform.channels import opening

Q = queries.load("links")
TOKEN = re.compile(r"(\d{1,18})\.([A-Za-z0-9_-]{43})")
DECIDE = "decide"
NONCE = 16  # bytes


def key(home: Path) -> bytes:
    """What links are signed with. Raises errors.Failed if the key file can't be read."""
    return opening.derived(home, "links")


def url(base: str, token: str) -> str:
    """Where the page of a link is. Its address is a secret for as long as the link is good: keep it out of logs."""
    return f"{base.rstrip('/')}/decide/{token}"


async def make(
    conn: pool.Conn, key: bytes, approval: int, purpose: str = DECIDE, *, delivery: int | None = None
) -> str:
    """A token that answers this question once, until it expires; for the same delivery it is the same one again.

    Raises errors.Conflict if the question does not wait any more.
    """
    values = {"approval": approval, "purpose": purpose, "delivery": delivery, "nonce": secrets.token_bytes(NONCE)}
    row = await (await conn.execute(Q["make"], values)).fetchone()
    if row is None and delivery is not None:
        row = await (await conn.execute(Q["of_delivery"], {"delivery": delivery})).fetchone()
    if row is None:
        raise errors.Conflict(f"Approval {approval} waits no more.", hint="`pocketlet inbox` shows what does.")
    token = _token(key, row)
    await conn.execute(Q["seal"], {"id": row["id"], "digest": hashlib.sha256(token.encode()).digest()})
    return token


async def view(conn: pool.Conn, key: bytes, token: str) -> dict[str, Any]:
    """The question as the gate reads it back from the bytes to be sent, as in `report.questions`. Nothing is decided.

    Raises errors.Refused (it is no link of ours, or the bytes have changed), errors.Conflict (used, late, answered).
    """
    row = await _row(conn, key, token)
    for question in await report.questions(conn):
        if question["approval"] == row["approval_id"]:
            return question
    raise errors.Conflict(f"Approval {row['approval_id']} waits no more.", hint="`pocketlet inbox` shows what does.")


async def use(conn: pool.Conn, key: bytes, token: str, *, yes: bool, because: str = "") -> approving.Decided:
    """The owner's word by a link, once: call it for a POST only. A run that waits goes on.

    Raises what `view` and `approving.decide` raise; then the link is as good as before.
    """
    row = await _row(conn, key, token)
    await conn.execute(Q["use"], {"id": row["id"]})
    decided = await approving.decide(conn, row["approval_id"], yes=yes, because=because)
    details = {"link": row["id"], "yes": yes}
    await audit.write(
        conn, audit.Entry("owner", "link.use", str(row["approval_id"]), run_id=decided.run, details=details)
    )
    return decided


async def _row(conn: pool.Conn, key: bytes, token: str) -> dict[str, Any]:
    match = TOKEN.fullmatch(token)
    row = await (await conn.execute(Q["get"], {"id": int(match[1])})).fetchone() if match else None
    known = hashlib.sha256(token.encode()).digest()
    if row is None or not (hmac.compare_digest(_token(key, row), token) and hmac.compare_digest(row["digest"], known)):
        hint = "Open it exactly as it was sent; `pocketlet inbox` shows what waits."
        raise errors.Refused("This link is not one of ours.", hint=hint)
    number = row["approval_id"]
    if row["used_at"] is not None:
        raise errors.Conflict("This link was used already.", hint="`pocketlet inbox` shows what waits.")
    if row["late"]:
        raise errors.Conflict(
            f"This link has expired: the answer to approval {number} is no.", hint="Nothing was sent."
        )
    if row["state"] != "pending":
        raise errors.Conflict(f"Approval {number} was {row['state']} already.", hint="Nothing more is to be done.")
    if not row["request_hash"] == row["asked"] == row["standing"]:
        hint = "`pocketlet approvals` shows what would be sent now."
        raise errors.Refused("What the link was made for has changed since. Nothing was sent.", hint=hint)
    return row


def _token(key: bytes, row: Mapping[str, Any]) -> str:
    """The number of the row, and a signature over all of it that matters, each part with its length."""
    total = hmac.new(key, digestmod=hashlib.sha256)
    parts = (
        str(row["id"]),
        str(row["approval_id"]),
        row["purpose"],
        row["request_hash"],
        f"{row['expires_at'].timestamp():.6f}",
    )
    for part in (*(text.encode() for text in parts), bytes(row["nonce"])):
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return f"{row['id']}.{base64.urlsafe_b64encode(total.digest()).rstrip(b'=').decode()}"
