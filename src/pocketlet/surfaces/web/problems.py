"""Refusals as documents (RFC 9457): a type that programs can tell apart, and sentences for people."""

from collections.abc import Iterator, Mapping

from starlette.responses import JSONResponse

from pocketlet import errors

KIND = "application/problem+json"
#: The first class that an error is an instance of decides: narrower ones stand before wider ones.
STATUS: tuple[tuple[type[errors.PocketletError], int], ...] = (
    (errors.BadInput, 422),
    (errors.BadSetting, 422),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.OverBudget, 409),
    (errors.UnknownPrice, 409),
    (errors.LostRun, 409),
    (errors.Refused, 403),
    (errors.Tampered, 403),
    (errors.GateBusy, 429),
    (errors.GateRefusal, 422),
    (errors.Unreachable, 503),
)
#: After these it may have been done, or not.
UNCERTAIN = (errors.MailUncertain, errors.ModelTimeout, errors.ServiceUncertain)
#: What is wrong in general, for the kinds that are no error of ours; what else there is has its status' own words.
TITLES: Mapping[str, str] = {
    "unknown-caller": "It is not known who asks.",
    "scope": "The token does not allow this.",
    "origin": "This was not asked for by a page of ours.",
    "none": "There is nothing here.",
    "key-reused": "An Idempotency-Key stands for one request.",
    "in-flight": "The same request is still being done.",
    "unknown-outcome": "It is not known whether the same request was done.",
    "answered": "The same request was done.",
    "broken": "Something of ours does not work.",
    "servicebusy": "The service wants a pause.",
    "later": "This can't be done now.",
}


PHRASES = {
    400: "The request is not well formed.",
    401: "Nobody is known by this request.",
    403: "It is not allowed.",
    404: "There is no such thing.",
    405: "This is asked for in another way.",
    408: "It took too long to come.",
    409: "It does not fit how things stand.",
    413: "It is too large.",
    422: "It can't be used.",
    429: "There were too many.",
    503: "It can't be done now.",
}


def answer(
    status: int, kind: str, said: str, headers: Mapping[str, str] | None = None, *, hint: str = "", run: int = 0
) -> JSONResponse:
    """`kind` is what a program looks at: it is the `code`, and ends the `type`. `said`, what happened this time, never
    quotes the request; `hint` is the next step. `run`: the one that it is about; 0: none.
    """
    document: dict[str, object] = {"type": f"urn:pocketlet:problem:{kind}", "code": kind, "title": _title(kind, status)}
    document |= {"status": status, "detail": said}
    if hint:
        document["hint"] = hint
    if run:
        document["run_id"] = run
    return JSONResponse(document, status_code=status, headers=dict(headers or {}), media_type=KIND)


def status(error: errors.PocketletError) -> int:
    """The HTTP status that says the same as the error."""
    return next((number for kind, number in STATUS if isinstance(error, kind)), 500)


def of(error: errors.PocketletError, run: int = 0) -> JSONResponse:
    """One of our own errors. `run`: the one that was asked for, if it is there. Where something may have been done,
    nobody is told to come again.
    """
    number = status(error)
    later = {"retry-after": "10"} if number in (429, 503) and not isinstance(error, UNCERTAIN) else {}
    about = 0 if isinstance(error, errors.NotFound) else run
    return answer(number, type(error).__name__.lower(), str(error), later, hint=error.hint, run=about)


def _title(kind: str, status: int) -> str:
    """The same for all problems of a kind."""
    return TITLES.get(kind) or OURS.get(kind) or PHRASES.get(status, "It can't be done.")


def _classes(of: type[errors.PocketletError]) -> Iterator[type[errors.PocketletError]]:
    for one in of.__subclasses__():
        yield one
        yield from _classes(one)


#: The first sentence of each error of ours.
OURS = {
    one.__name__.lower(): (one.__doc__ or "").partition(". ")[0].rstrip(".") + "."
    for one in _classes(errors.PocketletError)
}
