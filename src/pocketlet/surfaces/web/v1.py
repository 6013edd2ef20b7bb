"""The native API: what `surfaces/api` lists, below /v1. Each asks first who calls, with which scopes."""

import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, cast

import pydantic
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pocketlet import errors
from pocketlet.surfaces.api import document, endpoint, table
from pocketlet.surfaces.web import bodies, entry, keys, problems, streams

LONGEST = 2_000_000  # bytes of a body
JSON = "application/json"
UNSAFE = re.compile(r"[^\w.-]", re.ASCII)  # in the name of a file
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def routes(known: entry.Entry) -> list[BaseRoute]:
    """One for each endpoint, and the document that describes them."""

    async def described(_: Request) -> Response:
        return Response(document.text(), media_type="application/vnd.oai.openapi+json")

    made = [_Served(known, one).route() for one in table.ENDPOINTS]
    return [Route(f"{endpoint.PREFIX}/openapi.json", described, methods=["GET"]), *made]


class _Served:
    """One endpoint over HTTP."""

    def __init__(self, known: entry.Entry, served: endpoint.Endpoint) -> None:
        self._known = known
        self._served = served

    def route(self) -> Route:
        return Route(endpoint.PREFIX + self._served.path, self, methods=[self._served.method], name=self._served.name)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except errors.PocketletError as error:
            answer = problems.of(error, self._run(request))
        await answer(scope, receive, send)

    def _run(self, request: Request) -> int:
        """The run that the address names; 0: none."""
        given = request.path_params.get("run", "")
        return int(given) if given.isascii() and given.isdecimal() and len(given) < 20 else 0

    async def _answer(self, request: Request) -> Response:
        caller = await self._known.caller(request)
        if caller is None:
            hint = "Send `Authorization: Bearer TOKEN`; `pocketlet token create` makes one."
            named = {"www-authenticate": "Bearer"}
            return problems.answer(401, "unknown-caller", "Nobody is known by this request.", named, hint=hint)
        if self._served.scope not in caller.scopes:
            said = f"This needs the scope {self._served.scope}, which the token does not have."
            return problems.answer(403, "scope", said)
        raw = await bodies.read(request, LONGEST)
        asked = self._asked(request, raw)
        if self._served.streams:
            events = cast(AsyncIterator[endpoint.Event], self._served.work(caller, **asked))
            return streams.Stream(request, caller, await _begun(events))

        async def work() -> Response:
            try:
                return self._told(await cast(Awaitable[endpoint.Answer], self._served.work(caller, **asked)))
            except errors.NoPostgres:
                raise
            except errors.PocketletError as error:  # an answer, too: it is kept like others
                return problems.of(error, self._run(request))

        if self._served.method != "POST" or self._served.scope == "read":  # what changes nothing may be asked again
            return await work()
        sent = keys.Sent(request.headers.get("idempotency-key"), self._served.keyed)
        place = f"{request.url.path}?{request.url.query}"  # whatever this machine was called
        return await keys.once(caller, sent.of(self._served.name, place, raw), work)

    def _asked(self, request: Request, raw: bytes) -> dict[str, Any]:
        """The arguments. Raises errors.BadInput, errors.NotFound."""
        try:
            path = self._served.path_model.model_validate(request.path_params)
        except pydantic.ValidationError as error:
            raise errors.NotFound("There is nothing here.") from error
        asked: dict[str, Any] = {name: getattr(path, name) for name in type(path).model_fields}
        given = _query(request, self._served.query_model)
        if self._served.streams and "last-event-id" in request.headers:  # a stream that broke goes on from there
            given = {**given, "after": request.headers["last-event-id"]}
        query = _checked(self._served.query_model, given)
        if self._served.gathers:
            asked["asked"] = query
        else:
            asked |= {name: getattr(query, name) for name in type(query).model_fields}
        if self._served.body_model is not None:
            if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
                raise errors.BadInput("The body is not marked as JSON.", hint=f"Send `Content-Type: {JSON}`.")
            asked["body"] = _sent(self._served.body_model, raw)
        elif raw.strip() not in (b"", b"{}"):
            raise errors.BadInput("This takes no body.", hint="Send none.")
        return asked

    def _told(self, answer: endpoint.Answer) -> Response:
        if isinstance(answer, endpoint.Text):
            name = UNSAFE.sub("_", answer.name)
            named = {"content-disposition": f'attachment; filename="{name}"'}
            return Response(answer.content, media_type=self._served.media, headers=named)
        return JSONResponse(answer.model_dump(mode="json"), status_code=self._served.status)


def _query(request: Request, model: type[pydantic.BaseModel]) -> Mapping[str, Any]:
    """The query, each name once. Raises errors.BadInput."""
    pairs = request.query_params.multi_items()
    if len({name for name, _ in pairs}) < len(pairs):
        raise errors.BadInput("A name stands twice in the query.", hint="Give each once.")
    if any("\x00" in value for _, value in pairs):
        raise errors.BadInput("A value in the query has a NUL character.", hint="Leave it out.")
    return dict(pairs)


def _sent(model: type[pydantic.BaseModel], raw: bytes) -> pydantic.BaseModel:
    """The body, with nothing taken for something else: 0 is no false, and "1" is no number. Raises errors.BadInput."""
    if NUL.search(raw):
        raise errors.BadInput("The body has a NUL character.", hint="Leave it out.")
    try:
        return model.model_validate_json(raw, strict=True)
    except pydantic.ValidationError as error:
        raise _wrong(error) from error


def _checked(model: type[pydantic.BaseModel], given: object) -> pydantic.BaseModel:
    try:
        return model.model_validate(given)
    except pydantic.ValidationError as error:
        raise _wrong(error) from error


def _wrong(error: pydantic.ValidationError) -> errors.BadInput:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "it"
    hint = "GET /v1/openapi.json describes what is taken."
    return errors.BadInput(f"{place}: {first['msg']}.", hint=hint)


async def _begun(events: AsyncIterator[endpoint.Event]) -> AsyncIterator[str]:
    """Raises what is wrong before the first event: the answer then is a refusal, and no stream."""
    first = await anext(events, None)

    async def lines() -> AsyncIterator[str]:
        if first is not None:
            yield streams.line(first)
        async for event in events:
            yield streams.line(event)

    return lines()
