"""Path templates such as `/orders/{id}`: which paths they stand for, segment by segment, on what a server will read.

A path that two programs could read in two ways (dot segments, encoded slashes, what is encoded twice, `;` parameters)
stands for nothing at all: a proxy between here and the service may read it the other way.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from pocketlet import errors

LONGEST = 2000
#: What a path may be written with: RFC 3986's pchar without `;`, and the slash.
WRITTEN = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*")
PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]{0,63})\}")
ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
#: Inside a decoded segment: what ends a segment, a path or a query, or changes what a server looks up.
ENDING = frozenset("/\\?#;")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a template: a literal, or a parameter between two (possibly empty) literals."""

    before: str
    name: str = ""
    after: str = ""

    def value(self, decoded: str) -> str | None:
        """What the parameter holds ("" for a literal), or None if the segment is not like this."""
        if not self.name:
            return "" if decoded == self.before else None
        fits = decoded.startswith(self.before) and decoded.endswith(self.after)
        inner = decoded[len(self.before) : len(decoded) - len(self.after)]
        return inner if fits and len(decoded) > len(self.before) + len(self.after) else None


def segments(path: str) -> list[str]:
    """The decoded segments of a path that is percent-encoded; the last one is "" after a slash at the end.

    Raises errors.Refused for every path that could be read in two ways.
    """
    if len(path) > LONGEST:
        raise _refused("it is too long")
    if not WRITTEN.fullmatch(path):
        raise _refused("it must start with / and hold only letters, digits, - . _ ~ ! $ & ' ( ) * + , = : @ and %XX")
    written = path[1:].split("/")
    if "" in written[:-1]:
        raise _refused("it has an empty segment")
    return [_decoded(segment) for segment in written]


def _decoded(segment: str) -> str:
    try:
        decoded = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise _refused("it holds bytes that are no UTF-8") from None
    if ENCODED.search(decoded):
        raise _refused("it is encoded twice")
    for form in (decoded, unicodedata.normalize("NFKC", decoded)):
        if ENDING & set(form):
            raise _refused("a segment holds one of / \\ ? # ;")
        if form and not form.strip(". \t"):
            raise _refused("it has a dot segment")
        if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs") for character in form):
            raise _refused("a segment holds a character that does not show")
    return decoded


def _refused(why: str) -> errors.Refused:
    return errors.Refused(
        f"This path is not sent: {why}.", hint="Write each value percent-encoded, in its own segment."
    )


@functools.lru_cache(maxsize=8192)
def read(template: str) -> tuple[Segment, ...]:
    """The segments of a template. Raises errors.BadInput."""
    literal = PARAMETER.sub("x", template)
    if "{" in literal or "}" in literal:
        raise errors.BadInput(f"The path {template!r} is not a template such as /orders/{{id}}.")
    try:
        segments(literal)
    except errors.Refused as error:
        raise errors.BadInput(f"The path {template!r} can't be allowed: {error}") from error
    found = [_segment(written) for written in template[1:].split("/")]
    names = [segment.name for segment in found if segment.name]
    if len(set(names)) < len(names):
        raise errors.BadInput(f"The path {template!r} names one parameter twice.")
    return tuple(found)


def _segment(written: str) -> Segment:
    parts = PARAMETER.split(written)
    if len(parts) == 1:
        return Segment(_decoded(written))
    if len(parts) > 3:
        raise errors.BadInput(f"The segment {written!r} has more than one parameter.", hint="Allow it as one {name}.")
    return Segment(unquote(parts[0]), parts[1], unquote(parts[2]))


def values(template: str, path: str) -> dict[str, str] | None:
    """The decoded parameters by name, or None if the template does not stand for the path."""
    if template.count("/") != path.count("/"):
        return None
    try:
        decoded = segments(path)
    except errors.Refused:
        return None
    return _values(read(template), decoded)


def _values(wanted: Sequence[Segment], decoded: list[str]) -> dict[str, str] | None:
    if len(wanted) != len(decoded):
        return None
    found: dict[str, str] = {}
    for segment, text in zip(wanted, decoded, strict=True):
        value = segment.value(text)
        if value is None:
            return None
        if segment.name:
            found[segment.name] = value
    return found


def covers(template: str, path: str) -> bool:
    """Whether the template stands for the path whatever the case of the letters: some servers see none."""
    if template.count("/") != path.count("/"):
        return False
    try:
        decoded = [segment.casefold() for segment in segments(path)]
    except errors.Refused:
        return False
    folded = [Segment(one.before.casefold(), one.name, one.after.casefold()) for one in read(template)]
    return _values(folded, decoded) is not None


def rank(template: str) -> tuple[tuple[int, int], ...]:
    """How narrow a template is: the larger goes first where several stand for one path. Literals before parameters."""
    return tuple((int(not one.name), len(one.before) + len(one.after)) for one in read(template))


def overlap(wide: str, narrow: str) -> bool:
    """Whether some path that `narrow` stands for is one that `wide` stands for, too, and `narrow` is the narrower."""
    sample = PARAMETER.sub("x", narrow)
    return wide != narrow and covers(wide, sample) and rank(narrow) > rank(wide)
