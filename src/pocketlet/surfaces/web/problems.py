"""Refusals as documents (RFC 9457): a type that programs can tell apart, and a sentence for people."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

KIND = "application/problem+json"


def answer(status: int, kind: str, said: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """`kind` is what a program looks at. `said` never quotes the request."""
    document = {"type": f"urn:pocketlet:problem:{kind}", "title": said, "status": status}
    return JSONResponse(document, status_code=status, headers=dict(headers or {}), media_type=KIND)
