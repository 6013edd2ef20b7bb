"""The `where` of a trigger on a table: one condition of SQL over `new` and `old`, which can be nothing but that.

Pure. Postgres reads it, as the agent itself, when the trigger is made; here is only seen to it that it can't end the
place that it stands in.
"""

import re
from collections.abc import Iterator

from pocketlet import errors

LONGEST = 2000
PAIRS = {")": "(", "]": "["}
_TOKEN = re.compile(r"'(?:[^'\\\0]|'')*'|\"(?:[^\"\\\0]|\"\")+\"|--|/\*|\w+|\s+|[^\w\s'\"$;\\\0]")


def check(where: str) -> None:
    """Raises errors.BadInput for what is more, or less, than one condition."""
    if len(where) > LONGEST:
        raise errors.BadInput(f"`where` is longer than {LONGEST} characters.")
    opened: list[str] = []
    for token in _tokens(where):
        if token in PAIRS.values():
            opened.append(token)
        elif token in PAIRS and (not opened or opened.pop() != PAIRS[token]):
            raise errors.BadInput(f"`where` has a {token} too many.")
    if opened:
        raise errors.BadInput(f"`where` has a {opened[-1]} too many.")
    if not any(_means(token, "new") or _means(token, "old") for token in _tokens(where)):
        raise errors.BadInput("`where` says nothing of `new`.", hint='For example: where = "new.stock < 5"')


def speaks_of_old(where: str) -> bool:
    """Whether it compares with what the row was before."""
    return any(_means(token, "old") for token in _rows(where))


def before(where: str) -> str:
    """The same condition on the row as it was before."""
    return "".join("old" if _means(token, "new") else token for token in _rows(where))


def _means(token: str, row: str) -> bool:
    return token.lower() == row or token == f'"{row}"'


def _rows(where: str) -> Iterator[str]:
    """The tokens; a column that is called `new` or `old` is told as `.new`, with its point."""
    point = ""
    for piece in _tokens(where):
        if piece == ".":
            point = piece
            continue
        yield point + piece
        point = ""
    yield point


def _tokens(where: str) -> Iterator[str]:
    at = 0
    while at < len(where):
        found = _TOKEN.match(where, at)
        if found is None or found[0] in ("--", "/*"):
            raise errors.BadInput(
                f"`where` can't hold what begins with {where[at : at + 2]!r}.",
                hint="It is one condition, without ; $ \\ or a comment: new.stock < 5 and new.name <> 'tea'",
            )
        yield found[0]
        at = found.end()
