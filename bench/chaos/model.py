"""The model of the sweep, a process of its own: it does what the task asks for, one effect a reply, told by the turn.

Its replies depend on the conversation alone, so that a run that was cut short is told the same again. Effects carry the
run's number, which comes as the request's seed.
"""

import asyncio
import contextlib
import json
import re
from typing import Any

KINDS = ("keyed", "idempotent", "unsafe", "keyed", "idempotent")
MAIL = 2  # which effect of a run answers the mail, if the run has one
WANTED = re.compile(r"effects=(\d+)")
SENDER = re.compile(r"c\d+@s0\.example")
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


def effect(number: int, index: int, connection: str) -> tuple[str, dict[str, Any]]:
    """The request of one effect. `number` is its own, all over the sweep."""
    match KINDS[(number // 100 + index) % len(KINDS)]:
        case "idempotent":
            return "http", _request("PUT", f"/things/{number}", connection)
        case "keyed":
            return "http", _request("POST", f"/keyed/{number}", connection)
        case _:
            return "http", _request("POST", f"/orders/{number}", connection)


def _request(method: str, path: str, connection: str) -> dict[str, Any]:
    return {"connection": connection, "method": method, "path": path, "body": {"path": path}}


def reply(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The call that comes next in this conversation."""
    said = sum(message["role"] == "assistant" for message in body["messages"])
    text = json.dumps([message for message in body["messages"] if message["role"] != "assistant"])
    found = WANTED.search(text)
    wanted = int(found[1]) if found else 1
    if said == 0:
        return "sql", {"query": "SELECT count(*) AS n FROM memories"}
    if said == MAIL and (sender := SENDER.search(text)):
        return "send_mail", {"to": sender[0], "subject": "Done", "body": "It is done."}
    if said <= wanted:
        return effect(body["seed"] * 100 + said, said, _connection(body))
    if said == wanted + 1:
        return "remember", {"kind": "note", "subject": f"run {body['seed']}"}
    return "finish", {"outcome": "done", "summary": f"Did {wanted}."}


def _connection(body: dict[str, Any]) -> str:
    for tool in body.get("tools", []):
        if tool["function"]["name"] == "http":
            return tool["function"]["parameters"]["properties"]["connection"]["enum"][0]
    return "none"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request of the completions wire."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in head if line.startswith("content-length:"))
        body = json.loads(await reader.readexactly(length))
        tool, args = reply(body)
        said = sum(message["role"] == "assistant" for message in body["messages"])
        call = {"id": f"call-{said}", "type": "function", "function": {"name": tool, "arguments": json.dumps(args)}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
        told = {"id": f"reply-{said}", "object": "chat.completion", "created": 1_700_000_000, "model": body["model"]}
        data = json.dumps({**told, "choices": [choice], "usage": USAGE}).encode()
        lines = (
            "HTTP/1.1 200 OK",
            "content-type: application/json",
            f"content-length: {len(data)}",
            "connection: close",
        )
        writer.write("\r\n".join((*lines, "", "")).encode() + data)
        await writer.drain()
    writer.close()


async def main() -> None:
    """Prints its URL and serves until it is ended."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
