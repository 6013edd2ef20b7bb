"""Secrets scrubbed out of whatever comes back from outside, also where a server reflects them encoded.

What is searched is the text as it came and the same text decoded up to three times (percent, JSON, HTML, line breaks
taken out), each for the secret itself, its base64 at all three alignments, its hex and its bytes as numbers; upper and
lower case and both base64 alphabets count as the same. A server that is set on smuggling can invent another encoding:
this is for echoes, the defence against the rest is that a credential only goes to its own host.
"""

import base64
import bisect
import html
import html.entities
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

MASK = b"[secret]"

#: An encoded form that is shorter than this many bytes would be found by chance.
SHORTEST_FORM = 6

#: How often a text is decoded: JSON in JSON in a query is found, what is deeper is not.
MOST_DECODED = 3

#: The most bytes that one byte of a secret takes after encoding it that often (`%2525…`, `\\u0061`, `&#0000097;`).
EXPANSION = 16

#: The longest escape, in bytes (a named entity).
LONGEST_ESCAPE = 33

#: The least that a Scrubber keeps before it searches, in bytes: it need not search anew for each small chunk.
BLOCK = 16_384

_ESCAPE = re.compile(
    rb"%([0-9A-Fa-f]{2})"
    rb"|\\[uU][dD]([89abAB][0-9A-Fa-f]{2})\\[uU][dD]([c-fC-F][0-9A-Fa-f]{2})"
    rb"|\\[uU]([0-9A-Fa-f]{4})"
    rb"|\\[uU]\{0{0,6}([0-9A-Fa-f]{1,6})\}"
    rb"|\\[xX]([0-9A-Fa-f]{2})"
    rb"|\\(.)"
    rb"|&#0{0,6}([0-9]{1,7});?"
    rb"|&#[xX]0{0,6}([0-9A-Fa-f]{1,6});?"
    rb"|&([A-Za-z][A-Za-z0-9]{1,30});"
    rb"|[\r\n]+",
    re.DOTALL,
)
_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_", b"abcdefghijklmnopqrstuvwxyz+/")
_CONTROLS = {b"n": b"", b"r": b"", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def forms(secret: str) -> set[bytes]:
    """The encodings of a secret that a server is likely to reflect, as bytes; the secret itself is one of them."""
    plain = secret.encode("utf-8", "surrogatepass")
    if not plain:
        return set()
    every = "".join(f"%{byte:02X}" for byte in plain)
    escaped = "".join(f"\\u{unit:04x}" for unit in _utf16(secret))
    texts = [
        quote(plain, safe=""),
        quote(plain, safe="").replace("%20", "+"),
        every,
        every.lower(),
        re.sub("%..", lambda found: found[0].lower(), quote(plain, safe="")),
        plain.hex(),
        plain.hex().upper(),
        escaped,
        escaped.upper().replace("\\U", "\\u"),
        html.escape(secret),
        "".join(f"&#{ord(character)};" for character in secret),
        "".join(f"&#x{ord(character):x};" for character in secret),
        "".join(f"&#x{ord(character):X};" for character in secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        json.dumps(secret, ensure_ascii=False)[1:-1],
    ]
    found = {text.encode("utf-8", "surrogatepass") for text in texts}
    for text in _base64(plain):
        found |= {text, text.translate(bytes.maketrans(b"+/", b"-_"))}
    return {plain, *(form for form in found if len(form) >= SHORTEST_FORM)}


def scrubbed(data: bytes, secrets: Iterable[str]) -> bytes:
    """`data` with each secret in it, in whatever of the known encodings, replaced by `[secret]`."""
    return _masked(data, _spans(data, _needles(secrets)))


def overlap(secrets: Iterable[str]) -> int:
    """The most bytes that one of these secrets takes in an encoded text: less of one may be cut off at an end."""
    return max((len(needle) for needle in _needles(secrets)), default=0) * EXPANSION


class Scrubber:
    """Scrubs a stream: what `feed` and `close` give is, put together, what `scrubbed` makes of the whole."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._needles = _needles(secrets)
        self._overlap = max(map(len, self._needles), default=0) * EXPANSION
        self._kept = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        """Take in a chunk, give back what is surely clean; the end of it is kept for the next."""
        self._kept += chunk
        if len(self._kept) < self._overlap + max(self._overlap, BLOCK):
            return b""
        data = bytes(self._kept)
        spans = _spans(data, self._needles)
        cut = _cut(data, spans, len(data) - self._overlap)
        del self._kept[:cut]
        return _masked(data[:cut], [span for span in spans if span[1] <= cut])

    def close(self) -> bytes:
        """What was kept, scrubbed."""
        data = bytes(self._kept)
        self._kept.clear()
        return _masked(data, _spans(data, self._needles))


@dataclass(frozen=True, slots=True)
class _Level:
    """A text that was decoded once: where each piece of it begins, and began and ended in the text before."""

    data: bytes
    at: Sequence[int]
    began: Sequence[int]
    #: Where an escape ended in the text before; -1 for a piece that was copied as it is.
    ended: Sequence[int]

    def back(self, start: int, end: int) -> tuple[int, int]:
        """A stretch of this text as one of the text before."""
        first = bisect.bisect_right(self.at, start) - 1
        last = bisect.bisect_right(self.at, end - 1) - 1
        began = self.began[first] + (start - self.at[first] if self.ended[first] < 0 else 0)
        ended = self.ended[last] if self.ended[last] >= 0 else self.began[last] + end - self.at[last]
        return began, ended


def _needles(secrets: Iterable[str]) -> tuple[bytes, ...]:
    """What is looked for at each level, folded; the longest first."""
    found: set[bytes] = set()
    for secret in secrets:
        plain = secret.encode("utf-8", "surrogatepass")
        numbers = [str(byte) for byte in plain]
        pairs = [f"{byte:02x}" for byte in plain]
        encoded = [*_base64(plain), *(joint.join(pairs).encode() for joint in ("", " ", ":", "-", ", 0x", ",0x"))]
        encoded += [joint.join(numbers).encode() for joint in (",", ", ", " ")]
        encoded += [secret.encode("utf-16-le", "surrogatepass"), secret.encode("utf-16-be", "surrogatepass")]
        encoded += [plain.replace(b" ", b"+")]
        # One that ends in the first half of an escape is decoded together with what comes after it.
        encoded += [html.escape(secret).encode("utf-8", "surrogatepass")] if secret.endswith("\\") else []
        # A secret that holds escapes itself is decoded together with what is around it.
        latin = secret.encode("latin-1", "ignore")
        encoded += [level.data for text in (plain, latin) for level in _levels(text)] + [latin]
        found |= {form for form in encoded if len(form) >= SHORTEST_FORM} | {plain}
    return tuple(sorted({needle.translate(_FOLDED) for needle in found if needle}, key=len, reverse=True))


def _base64(plain: bytes) -> Iterator[bytes]:
    """The part of a secret's base64 that does not depend on what is around it, at each of the three alignments."""
    yield base64.b64encode(plain).rstrip(b"=")
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + plain)
        end = (before + len(plain)) * 8 // 6
        yield encoded[-(-before * 8 // 6) : end]


def _utf16(secret: str) -> list[int]:
    data = secret.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def _levels(data: bytes) -> Iterator[_Level]:
    """`data` decoded once, twice …, as long as there is something to decode."""
    for _ in range(MOST_DECODED):
        level = _decoded(data)
        if level is None:
            return
        yield level
        data = level.data


def _decoded(data: bytes) -> _Level | None:
    """`data` with its escapes replaced by what they stand for; None if it has none."""
    pieces: list[bytes] = []
    at: list[int] = []
    began: list[int] = []
    ended: list[int] = []
    length = done = 0
    for match in _ESCAPE.finditer(data):
        start, end = match.span()
        meaning = _meaning(match)
        if meaning is None:
            continue
        for piece, origin, until in ((data[done:start], done, -1), (meaning, start, end)):
            if piece:
                pieces.append(piece)
                at.append(length)
                began.append(origin)
                ended.append(until)
                length += len(piece)
        done = end
    if not done:
        return None
    rest = data[done:]
    return _Level(b"".join([*pieces, rest]), [*at, length], [*began, done], [*ended, -1])


def _meaning(match: re.Match[bytes]) -> bytes | None:
    """What one escape stands for; None if that is nothing. Bytes that are no text stay bytes."""
    kind = match.lastindex
    if kind is None:
        return b""
    if kind == _PAIR:
        high, low = int(match[2], 16) & 0x3FF, int(match[3], 16) & 0x3FF
        return _character(0x10000 + (high << 10) + low)
    return _MEANINGS[kind](match[kind])


def _character(number: int) -> bytes | None:
    return chr(number).encode("utf-8", "surrogatepass") if number <= 0x10FFFF else None


def _hex(text: bytes) -> bytes | None:
    return _character(int(text, 16))


def _named(name: bytes) -> bytes | None:
    known = html.entities.html5.get(name.decode() + ";")
    return None if known is None else known.encode()


_PAIR = 3
#: What each other group of _ESCAPE stands for; _PAIR is the second half of a pair.
_MEANINGS: dict[int, Callable[[bytes], bytes | None]] = {
    1: lambda text: bytes([int(text, 16)]),
    4: _hex,
    5: _hex,
    6: lambda text: bytes([int(text, 16)]),
    7: lambda text: _CONTROLS.get(text, text),
    8: lambda text: _character(int(text)),
    9: _hex,
    10: _named,
}


def _spans(data: bytes, needles: Sequence[bytes]) -> list[tuple[int, int]]:
    """Where secrets are in `data`, at whatever level; sorted, and those that overlap are one."""
    found = set(_found(data, needles))
    above: list[_Level] = []
    for level in _levels(data):
        above.insert(0, level)
        for span in _found(level.data, needles):
            for each in above:
                span = each.back(*span)
            found.add(span)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _found(data: bytes, needles: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    folded = data.translate(_FOLDED)
    for needle in needles:
        start = folded.find(needle)
        while start >= 0:
            yield start, start + len(needle)
            start = folded.find(needle, start + len(needle))


def _masked(data: bytes, spans: Sequence[tuple[int, int]]) -> bytes:
    pieces: list[bytes] = []
    done = 0
    for start, end in spans:
        pieces += (data[done:start], MASK)
        done = end
    return b"".join([*pieces, data[done:]])


def _cut(data: bytes, spans: Sequence[tuple[int, int]], latest: int) -> int:
    """The last place not after `latest` where `data` may be cut: not within a secret, nor within an escape."""
    cut = latest
    for match in _ESCAPE.finditer(data, max(0, latest - LONGEST_ESCAPE), latest + LONGEST_ESCAPE):
        if match.start() < latest < match.end():
            cut = match.start()
    return min([cut, *(start for start, end in spans if start < cut < end)])
