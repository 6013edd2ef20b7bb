"""What an entry of `[triggers]` may say that looks somewhere: at a feed, a service, a table, another agent's results.

Pure. Each check raises errors.BadInput.
"""

import re
from collections.abc import Mapping, Sequence
from typing import cast

from pocketlet import errors
from pocketlet.agents.triggers import predicates
from pocketlet.platform.gateways import addresses

TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
POLL = re.compile(r"([a-z][a-z0-9_-]{0,30}) GET (/\S*)")
FIELD = re.compile(r"[^.\s]{1,100}(?:\.[^.\s]{1,100}){0,9}")
PLACE = "{cursor}"
#: Seconds between two looks at somebody else's server, at least.
SELDOM = 30


def check(kind: str, source: str, settings: Mapping[str, object], every: int) -> None:
    """Whether an entry of this kind can be meant; of other kinds everything can."""
    match kind:
        case "feed":
            _check_feed(source, pins(settings))
        case "poll":
            _check_poll(source, settings)
        case "change":
            _check_change(source, settings)
        case "result":
            _field(settings, "outcome")
        case "chat":
            hint = "What you write on a channel goes to the manager; `pocketlet run AGENT` starts a run."
            raise errors.BadInput("a run can't be started by a chat yet: this kind is not available.", hint=hint)
        case _:
            return
    if kind in ("feed", "poll"):
        _check_often(settings, every)


def words(kind: str, source: str, settings: Mapping[str, object]) -> str:
    """What starts an entry of this kind, for a person to read."""
    match kind:
        case "change":
            where = settings.get("where")
            return f"a change in {source}" + (f" where {where}" if where else "")
        case "poll":
            return f"what is new at {source}"
        case _:
            return f"{kind} {source}"


def pins(settings: Mapping[str, object]) -> Sequence[str]:
    """The addresses of a local server that the owner pinned."""
    given = settings.get("pin", [])
    texts: object = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast("list[object]", texts)):
        raise errors.BadInput("`pin` must be an address or a list of them.")
    found = cast("list[str]", texts)
    addresses.check_pins(found)
    return found


def _check_feed(source: str, pinned: Sequence[str]) -> None:
    url = addresses.host_of(source, inner=bool(pinned))
    if url.scheme != "https" and not pinned:
        raise errors.BadInput("a feed is read by https.", hint="Only a local server that is pinned is read by http.")


def _check_poll(source: str, settings: Mapping[str, object]) -> None:
    if not POLL.fullmatch(source):
        raise errors.BadInput('`poll` is like "CONNECTION GET /tickets": it reads, over a connection of the agent.')
    query = settings.get("query", {})
    values = cast("dict[str, object]", query).values() if isinstance(query, dict) else [None]
    if not all(isinstance(value, str | int | float) for value in values):
        raise errors.BadInput(f'`query` is like {{since = "{PLACE}", limit = 100}}.')
    for key in ("items", "key", "cursor"):
        _field(settings, key)
    if any(PLACE in str(value) for value in values) and "cursor" not in settings:
        raise errors.BadInput(f'`query` has {PLACE}, and nothing says what that is, such as cursor = "updated_at".')


def _check_often(settings: Mapping[str, object], every: int) -> None:
    if not isinstance(settings.get("from_start", False), bool):
        raise errors.BadInput("`from_start` must be true or false.")
    if every < SELDOM:
        raise errors.BadInput(f'`every` must be at least "{SELDOM} s": it is somebody else\'s server.')


def _check_change(source: str, settings: Mapping[str, object]) -> None:
    if not TABLE.fullmatch(source):
        raise errors.BadInput("`change` names one of the agent's own tables, as schema/ makes it.")
    where = settings.get("where", "new")
    if not isinstance(where, str):
        raise errors.BadInput('`where` must be a condition, such as "new.stock < 5".')
    predicates.check(where)


def _field(settings: Mapping[str, object], key: str) -> None:
    value = settings.get(key, "id")
    if not isinstance(value, str) or not FIELD.fullmatch(value):
        raise errors.BadInput(f'`{key}` must be a name, such as "id" or "data.tickets".')
