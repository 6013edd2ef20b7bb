"""A response's body taken in and decompressed under caps that hold while it grows, not afterwards."""

import zlib
from collections.abc import Callable

#: The most bytes that one compressed byte may become, past the first `FREE` bytes; deflate's own bound is 1,032.
MOST_RATIO = 200
FREE = 65_536

#: The encodings that are asked for, and the only ones that are read.
ENCODINGS = ("gzip", "deflate")
_NONE = ("", "identity")


class Body:
    """Takes in chunks until `limit` bytes of decompressed text are there.

    `whole` says whether all of it was taken in and could be read. A body in an encoding that was not asked for is
    dropped: what can't be read can't be scrubbed.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._encoding = encoding.strip().lower()
        self._limit = limit
        self._given = 0
        self._data = bytearray()
        self._stopped = self._encoding not in (*_NONE, *ENCODINGS)
        self._inflate: Callable[[bytes], None] = self._copy if self._encoding in _NONE else self._unpack
        self._packed: zlib._Decompress | None = None  # pyright: ignore[reportPrivateUsage]
        self._head = b""

    @property
    def data(self) -> bytes:
        """What is there so far, decompressed; at most `limit` bytes."""
        return bytes(self._data)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing; to be asked after the last chunk."""
        begun = self._packed is not None or bool(self._head)
        ended = not begun or (self._packed is not None and self._packed.eof)
        return not self._stopped and ended

    def feed(self, chunk: bytes) -> bool:
        """Take in a chunk; whether another one is wanted."""
        if not self._stopped:
            self._given += len(chunk)
            self._inflate(chunk)
        return not self._stopped

    def _copy(self, chunk: bytes) -> None:
        room = self._limit - len(self._data)
        self._data += chunk[:room]
        self._stopped = len(chunk) > room

    def _unpack(self, chunk: bytes) -> None:
        chunk = self._head + chunk
        self._head = b""
        while chunk and not self._stopped:
            if self._packed is None or self._packed.eof:
                if len(chunk) < 2:
                    self._head = chunk
                    return
                self._packed = zlib.decompressobj(self._window(chunk))
            chunk = self._inflated(self._packed, chunk)

    def _window(self, start: bytes) -> int:
        """zlib's name for the format: gzip, deflate in zlib's frame, or bare as some servers send it."""
        if self._encoding == "gzip":
            return zlib.MAX_WBITS | 16
        framed = start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if framed else -zlib.MAX_WBITS

    def _inflated(self, packed: "zlib._Decompress", chunk: bytes) -> bytes:  # pyright: ignore[reportPrivateUsage]
        """Decompress as much as the caps allow; what is left of `chunk` for the next member."""
        room = min(self._limit, FREE + MOST_RATIO * self._given) - len(self._data)
        try:
            # One byte more than there is room for: only so an end right at the cap is seen as an end.
            piece = packed.decompress(chunk, room + 1)
        except zlib.error:
            self._stopped = True
            return b""
        self._data += piece[:room]
        self._stopped = len(piece) > room
        return packed.unused_data
