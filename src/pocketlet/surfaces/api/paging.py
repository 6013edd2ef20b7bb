"""Long lists in parts. A cursor says after which row the next part begins; what it looks like is nobody's business."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pydantic

from pocketlet import errors

MOST = 200
Limit = Annotated[int, pydantic.Field(ge=1, le=MOST, description="How many at most.")]
Cursor = Annotated[str, pydantic.Field(max_length=500, description="`next` of the part before; empty: the first part.")]


def after(cursor: str) -> int | None:
    """The number of the row that the part begins after; None for the first part. Raises errors.BadInput."""
    if not cursor:
        return None
    try:
        number = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=="))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise errors.BadInput("This cursor is none of ours.", hint="Give `next` of the part before.") from error
    if type(number) is not int or not 0 <= number < 2**63:
        raise errors.BadInput("This cursor is none of ours.", hint="Give `next` of the part before.")
    return number


def cut(rows: Sequence[Mapping[str, Any]], limit: int, key: str) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """At most `limit` of `rows`, of which one more was asked for, and the cursor of what follows. `key`: its number."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], base64.urlsafe_b64encode(json.dumps(rows[limit - 1][key]).encode()).decode().rstrip("=")
