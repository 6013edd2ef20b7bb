"""Servers of other people on loopback: a receiver of webhooks, and one that speaks Telegram's Bot API."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import standardwebhooks

TOKEN = "123456789:AAH-" + "x" * 31
CHAT = 7001
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB3ZWJob29rIGluIHRlc3Rz"


class Outside:
    """`faults` are used up one a request: a status (and headers) to answer with, "drop before" or "drop after"."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.faults: list[str | tuple[int, dict[str, str]]] = []

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator["Outside"]:
        """Serves for as long as the block lasts."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        yield self
        listener.close()
        await listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            await self._answer(writer, first.split(" ")[1], headers, body)
        writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, path: str, headers: dict[str, str], body: bytes) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault == "drop before":
            return
        self.requests.append((path, headers, body))
        status, more, answer = self.refused(*fault) if isinstance(fault, tuple) else self.take(path, headers, body)
        if fault == "drop after":
            return
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(answer)}", *(f"{k}: {v}" for k, v in more.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + answer)
        await writer.drain()

    def refused(self, status: int, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """An error, as this server words it."""
        return status, headers, b""

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What a request is answered with."""
        raise NotImplementedError


class Receiver(Outside):
    """Takes webhooks as Standard Webhooks says: it verifies them, and knows a message by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[str, dict[str, Any]] = {}

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.taken[headers["webhook-id"]] = standardwebhooks.Webhook(SECRET).verify(body, headers)
        return 204, {}, b""


class Telegram(Outside):
    """One bot; `said` are the messages that it sent to the owner's chat, `updates` what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.polls: list[dict[str, Any]] = []

    def texts(self) -> list[str]:
        """The texts of the messages."""
        return [message["text"] for message in self.said]

    def write(self, text: str, *, chat: int = CHAT, kind: str = "private", **more: Any) -> int:
        """Somebody writes to the bot; the update's number."""
        number = 500 + len(self.updates)
        message = {"message_id": 9000 + number, "chat": {"id": chat, "type": kind}, "from": {"id": chat}, "text": text}
        self.updates.append({"update_id": number, "message": message | more})
        return number

    def reply(self, text: str, to: int) -> int:
        """The owner answers a message of the bot's."""
        return self.write(text, reply_to_message={"message_id": to, "chat": {"id": CHAT, "type": "private"}})

    def refused(self, status: int, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        answer: dict[str, Any] = {"ok": False, "error_code": status, "description": f"Error {status}"}
        if "retry-after" in headers:
            answer["parameters"] = {"retry_after": int(headers["retry-after"])}
        return status, {"content-type": "application/json"}, json.dumps(answer).encode()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        bot, method = urlsplit(path).path.removeprefix("/bot").rsplit("/", 1)
        if bot != TOKEN:
            return self.refused(401, {})
        result = self._sent(json.loads(body)) if method == "sendMessage" else self._polled(json.loads(body))
        if result is None:
            return self.refused(400, {})
        return 200, {"content-type": "application/json"}, json.dumps({"ok": True, "result": result}).encode()

    def _sent(self, values: dict[str, Any]) -> dict[str, Any] | None:
        if values["chat_id"] != CHAT or not 0 < len(values["text"].encode("utf-16-le")) <= 2 * 4096:
            return None
        self.said.append(values)
        return {"message_id": 100 + len(self.said), "chat": {"id": CHAT, "type": "private"}, "text": values["text"]}

    def _polled(self, values: dict[str, Any]) -> list[dict[str, Any]]:
        self.polls.append(values)
        self.updates = [one for one in self.updates if one["update_id"] >= values.get("offset", 0)]
        return self.updates[: values["limit"]]
