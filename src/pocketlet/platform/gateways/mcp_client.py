"""Speaks to one MCP server: lists its tools, calls one, and gives text back. The official SDK does the protocol.

A session answers none of a server's own wishes (no sampling, no elicitation, no roots), its instructions are not
read, and the SDK's logs, which may quote what a server sent, are off.
"""

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import anyio

from pocketlet import crashing, errors
from pocketlet.platform.gateways import mcp_http, mcp_stdio, scrubbing

if TYPE_CHECKING:
    import mcp_types
    from mcp import client

CONNECT_SECONDS = 60.0  # until a server has started and listed its tools
CALL_SECONDS = 60.0
MAX_TOOLS = 200
MAX_PAGES = 20
MAX_ENTRY = 60_000  # characters of one tool's entry
MAX_TEXT = 30_000  # characters of one reply
LONGEST_REASON = 300
SHOWN_NAME = 80  # characters of a name that can't be used
NAME = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Server:
    """A server as the owner set it up. `secrets`: by name; variables of a program, or the bearer token of a URL."""

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    pinned: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """A tool as its server describes it now. `digest`: sha256 over all of that in one canonical spelling.

    `fault`: why it is left out, if it is; then there is nothing else of it, and its name is one that no tool can have.
    """

    tool: str
    description: str
    schema: Mapping[str, Any]
    annotations: Mapping[str, Any]
    digest: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call gave, as text from outside. `error`: the tool says that it failed."""

    text: str
    error: bool = False


def digest(entry: Mapping[str, Any]) -> str:
    """Of a tool's name, description, schemas and annotations: one changed character is another digest."""
    canonical = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


class Session:
    """An open session with a server."""

    def __init__(self, server: Server, connection: "client.Client") -> None:
        self._server = server
        self._session = connection.session

    async def listing(self) -> list[Listed]:
        """The tools that it offers now, by name; one that can't be used is there with its `fault`.

        Raises errors.BadInput if the list has no end.
        """
        import mcp_types

        found: list[Listed] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._session.list_tools(params=mcp_types.PaginatedRequestParams(cursor=cursor))
            found += [_listed(tool) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor or len(found) > MAX_TOOLS:
                break
        if cursor or len(found) > MAX_TOOLS:
            raise errors.BadInput(f"The MCP server {self._server.name} lists more than {MAX_TOOLS} tools.")
        return _once(found)

    async def call(self, tool: str, arguments: Mapping[str, Any], key: str = "") -> Reply:
        """What a tool gave; `key`, if any, goes along as `idempotency-key`.

        The SDK would list the tools again to check the result; nothing of a result is trusted here, so it need not.
        """
        import mcp_types
        import pydantic
        from mcp.shared import exceptions

        params = mcp_types.CallToolRequestParams(name=tool, arguments=dict(arguments))
        if key:
            params.meta = {"idempotency-key": key}
        shape: pydantic.TypeAdapter[mcp_types.CallToolResult | mcp_types.InputRequiredResult] = pydantic.TypeAdapter(
            mcp_types.CallToolResult | mcp_types.InputRequiredResult
        )
        request = mcp_types.CallToolRequest(params=params)
        try:
            result = await self._session.send_request(request, shape, request_read_timeout_seconds=CALL_SECONDS)
        except exceptions.MCPError as error:
            if error.code not in self._answers:
                raise
            return Reply(_capped(_scrubbed(self._server, error.message)), error=True)
        if isinstance(result, mcp_types.InputRequiredResult):
            return Reply("The tool asks for input that only a person can give; that is not possible here.", error=True)
        return Reply(_capped(_scrubbed(self._server, _text(result))), error=bool(result.is_error))

    @property
    def _answers(self) -> set[int]:
        """Codes that a server itself answers with; the others may be the SDK's words for a broken connection."""
        import mcp_types

        definite = {mcp_types.INVALID_PARAMS, mcp_types.METHOD_NOT_FOUND}
        return definite | {mcp_types.INTERNAL_ERROR} if self._server.command else definite


def _listed(tool: "mcp_types.Tool") -> Listed:
    entry = tool.model_dump(by_alias=True, mode="json", exclude_none=True, exclude={"icons", "meta"})
    try:
        whole = json.dumps(entry, allow_nan=False)
        number = digest(entry)
    except (ValueError, RecursionError):
        return _left_out(tool.name, "it is described with a number that is none, or too deeply")
    if not NAME.fullmatch(tool.name):
        return _left_out(tool.name, "its name is longer than 128 characters, or not of plain ASCII letters and marks")
    if len(whole) > MAX_ENTRY:
        return _left_out(tool.name, f"it is described in {len(whole)} characters; {MAX_ENTRY} is the most")
    return Listed(tool.name, tool.description or "", entry["inputSchema"], entry.get("annotations", {}), number)


def _left_out(name: str, fault: str) -> Listed:
    """A tool that nobody can use, so that the others can be. No usable name has a blank in it: this one does."""
    number = digest({"name": name, "fault": fault})
    shown = name.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")[:SHOWN_NAME]
    return Listed(f"{shown} ({number[:8]})", "", {}, {}, number, fault)


def _once(found: list[Listed]) -> list[Listed]:
    """By name; of one that is there twice nobody can say which is meant."""
    named: dict[str, Listed] = {}
    for entry in found:
        named.setdefault(entry.tool, entry)
    counted = Counter(entry.tool for entry in found)
    twice = {name: _left_out(name, "the server lists it twice") for name, count in counted.items() if count > 1}
    return sorted((twice.get(name, entry) for name, entry in named.items()), key=lambda entry: entry.tool)


def _text(result: "mcp_types.CallToolResult") -> str:
    parts = [_part(block) for block in result.content]
    if not any(part.strip() for part in parts) and result.structured_content is not None:
        parts = [json.dumps(result.structured_content, ensure_ascii=False)]
    return "\n".join(parts).replace("\x00", "")


def _capped(text: str) -> str:
    cut = f"\n[cut: {len(text) - MAX_TEXT} more characters]" if len(text) > MAX_TEXT else ""
    return text[:MAX_TEXT] + cut


def _part(block: "mcp_types.ContentBlock") -> str:
    """Text as it is; of what is no text, a note."""
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return f"[{block.type}, {block.mime_type[:80]}, {len(block.data) * 3 // 4} bytes: not shown]"
        case "resource_link":
            return f"[link to a resource: {block.uri[:300]}]"
        case "resource":
            text = getattr(block.resource, "text", None)
            note = f"[resource {block.resource.uri[:300]}, {(block.resource.mime_type or 'no type')[:80]}"
            return f"{note}: not shown]" if text is None else f"{note}]\n{text}"


def _scrubbed(server: Server, text: str) -> str:
    """Without the secrets that the server was given, however it spells them."""
    return scrubbing.scrubbed(text.encode("utf-8", "replace"), server.secrets.values()).decode("utf-8", "replace")


@dataclass(slots=True)
class _Progress:
    """How far a session came: what failed before `calling` surely changed nothing at the server."""

    calling: bool = False
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call: which tool, as it was reviewed (`digest`), with what. `key`: of a call that may come twice."""

    tool: str
    digest: str
    arguments: Mapping[str, Any]
    key: str = ""


@crashing.io
async def listing(server: Server) -> list[Listed]:
    """The tools that a server offers now.

    Raises errors.ServiceUnreachable, errors.EgressRefused, errors.BadInput.
    """
    async with _opened(server, _Progress()) as session:
        return await session.listing()


@crashing.io
async def call(server: Server, wanted: Wanted) -> tuple[list[Listed], Reply | None]:
    """The server's list as it is now, and the reply, or None: nothing is called unless the tool is as it was reviewed.

    Raises errors.ServiceUnreachable (surely not called), errors.ServiceUncertain (it broke after the call was begun),
    errors.EgressRefused, errors.BadInput.
    """
    progress = _Progress()
    async with _opened(server, progress) as session:
        found = await session.listing()
        if wanted.digest not in {entry.digest for entry in found if entry.tool == wanted.tool}:
            return found, None
        progress.calling = True
        progress.reply = await session.call(wanted.tool, wanted.arguments, wanted.key)
    return found, progress.reply


@asynccontextmanager
async def _opened(server: Server, progress: _Progress) -> AsyncGenerator[Session]:
    from mcp import client
    from mcp.shared import exceptions

    # What the SDK logs may quote what a server sent.
    logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)
    told = mcp_stdio.Told()
    try:
        with anyio.fail_after(CONNECT_SECONDS + CALL_SECONDS):
            transport = _transport(server, told)
            async with client.Client(transport, cache=None, read_timeout_seconds=CONNECT_SECONDS) as connection:
                yield Session(server, connection)
    except (ExceptionGroup, exceptions.MCPError, errors.PocketletError, TimeoutError) as error:
        if progress.reply is None:  # else the call was answered, and only the parting went wrong
            raise _explained(server, told, _first(error), calling=progress.calling) from None


def _transport(server: Server, told: mcp_stdio.Told) -> "AbstractAsyncContextManager[Any]":
    if server.command:
        return mcp_stdio.started(mcp_stdio.Program(server.command, server.secrets), told)
    return _over_http(server)


@asynccontextmanager
async def _over_http(server: Server) -> AsyncGenerator[Any]:
    from mcp.client import streamable_http

    mcp_http.checked(server.url, server.pinned)
    token = next(iter(server.secrets.values()), "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    place = mcp_http.Place(server.url, server.pinned, headers)
    async with (
        mcp_http.client(place, CALL_SECONDS) as client,
        streamable_http.streamable_http_client(server.url, http_client=client) as streams,
    ):
        yield streams


def _first(error: Exception) -> Exception:
    """What went wrong first, out of the SDK's nested groups; our own errors before what followed from them."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_first(one) for one in cast("ExceptionGroup[Exception]", error).exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, errors.PocketletError)), leaves[0])


def _explained(server: Server, told: mcp_stdio.Told, error: Exception, *, calling: bool) -> Exception:
    """The error in our words; what is no failure of the server or the way to it stays as it is."""
    import httpx2
    import pydantic
    from mcp.shared import exceptions

    if isinstance(error, errors.PocketletError) and not calling:
        return error
    known = (
        exceptions.MCPError,
        httpx2.HTTPError,
        pydantic.ValidationError,
        RuntimeError,
        OSError,
        anyio.BrokenResourceError,
    )
    if not isinstance(error, (*known, errors.PocketletError)):
        return error
    reason = told.fault or _reason(server, error)
    said = _scrubbed(server, told.stderr.decode("utf-8", "replace")).strip().rpartition("\n")[2][:LONGEST_REASON]
    text = f"The MCP server {server.name} failed: {reason}." + (f" It said: {said!r}" if said else "")
    if calling:
        return errors.ServiceUncertain(text)
    return errors.ServiceUnreachable(text, hint=f"`pocketlet mcp review {server.name}` tries again.")


def _reason(server: Server, error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    said = " ".join(_scrubbed(server, str(error)).split()).rstrip(".")
    return said[:LONGEST_REASON] or type(error).__name__
