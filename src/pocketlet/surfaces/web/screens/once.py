"""A form that was sent twice, by two clicks or a page that was loaded again, is acted on once."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from pocketlet import errors
from pocketlet.surfaces.web import keys
from pocketlet.surfaces.web.screens import screen


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a form: the page to go on with, and one sentence."""

    to: str
    said: str


async def act(look: screen.Look, form: Mapping[str, str], work: Callable[[], Awaitable[Came]]) -> Response:
    """Does `work`, unless this very form was sent before: then it says what came of it.

    The form has a field `key`, another one each time that the page is shown. Raises errors.Conflict (it is being done,
    or it is not known whether it was), and what `work` raises.
    """
    key = form.get("key", "")
    asked = urlencode(sorted(form.items())).encode()
    sent = keys.Sent(_digest(key, look.request.url.path, asked) if key else None, needed=False, by_hand=True)

    async def told() -> Response:
        came = await work()
        return JSONResponse({"to": came.to, "said": came.said})

    answer = await keys.once(look.caller, sent.of("form", look.request.url.path, asked), told)
    came = json.loads(bytes(answer.body))
    if answer.status_code != 200:
        raise errors.Conflict(came["detail"], hint=came["hint"])
    return screen.to(came["to"], came["said"])


def _digest(key: str, path: str, asked: bytes) -> str:
    """Other words in the same form are another deed."""
    return "form-" + hashlib.sha256(b"\0".join((key.encode(), path.encode(), asked))).hexdigest()
