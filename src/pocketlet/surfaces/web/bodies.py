"""Bodies of requests: read up to a length and within a time, as bytes or as the fields of a form."""

import asyncio
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from pocketlet import errors

LONGEST = 500_000  # bytes of a form
FIELDS = 200  # of a form
PATIENCE = 10.0  # seconds that a body may take
FORM = "application/x-www-form-urlencoded"


async def read(request: Request, most: int) -> bytes:
    """The body as it came, `most` bytes at most. Raises errors.BadInput; the rest of it is unread then."""
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise errors.BadInput(f"That is too long: {most} bytes at most.")
    except (TimeoutError, ClientDisconnect) as error:
        raise errors.BadInput("The body did not come.", hint="Send it again.") from error
    return bytes(body)


async def form(request: Request, most: int = LONGEST) -> dict[str, str]:
    """The fields of a form, without NUL. Raises errors.BadInput."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise errors.BadInput("This is no form of ours.", hint="Open the page again, and send it from there.")
    raw = await read(request, most)
    try:
        pairs = parse_qsl(raw.decode("ascii"), max_num_fields=FIELDS, keep_blank_values=True)
    except ValueError as error:
        raise errors.BadInput("This form can't be read.", hint="Open the page again.") from error
    return {name: value.replace("\x00", "").replace("\r\n", "\n") for name, value in pairs}
