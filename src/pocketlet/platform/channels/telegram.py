"""A private chat over Telegram's Bot API (core.telegram.org/bots/api), or a server that speaks it.

Texts are sent plain: no parse mode, so nothing that an agent has read can become a link, a mention or a format.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pocketlet import errors
from pocketlet.platform.channels import definitions
from pocketlet.platform.gateways import wire

TOKEN = re.compile(r"\d{3,20}:[A-Za-z0-9_-]{20,100}")
LONGEST = 4096  # UTF-16 units of one message
CUT = "\n[…]"
MOST_BYTES = 4_000_000  # of up to 100 updates
AT_ONCE = 100
SECONDS = 20.0
#: What shows that words are somebody else's.
FOREIGN = ("forward_origin", "forward_from", "forward_date", "via_bot")


@dataclass(frozen=True, slots=True)
class Telegram:
    """A bot and the owner's chat with it. It is a channel and a listener (definitions)."""

    definition: definitions.Definition
    token: str = field(repr=False)

    @property
    def effect_class(self) -> str:
        """It has neither keys nor a way to look."""
        return "unsafe"

    async def send(self, message: definitions.Message) -> definitions.Receipt:
        """Raises errors.Rejected, errors.ServiceBusy, errors.ServiceUncertain, errors.ServiceUnreachable."""
        values: dict[str, Any] = {
            "chat_id": int(self.definition.address),
            "text": text(message),
            "link_preview_options": {"is_disabled": True},  # nobody but the owner opens what it links to
        }
        if message.answers.isdigit():
            values["reply_parameters"] = {"message_id": int(message.answers), "allow_sending_without_reply": True}
        reply = await self._call("sendMessage", values, SECONDS)
        if reply.status >= 500:
            raise errors.ServiceUncertain(f"Telegram answered {reply.status}: it may have taken the message.")
        number = _object(_result(reply)).get("message_id")
        if not isinstance(number, int):
            raise errors.ServiceUncertain("Telegram's answer can't be read: it may have taken the message.")
        return definitions.Receipt(str(number), "ok")

    async def look(self, message: definitions.Message) -> bool | None:
        """Nobody can know."""
        return None

    async def receive(self, after: int, seconds: int) -> list[definitions.Incoming]:
        """Raises errors.Rejected (the token), errors.ServiceUnreachable."""
        values: dict[str, Any] = {"timeout": seconds, "limit": AT_ONCE, "allowed_updates": ["message"]}
        if after:
            values["offset"] = after + 1
        reply = await self._call("getUpdates", values, SECONDS + seconds)
        if reply.status >= 500:
            raise errors.ServiceUnreachable(f"Telegram answered {reply.status}.")
        if reply.status == 409:
            hint = "One bot has one reader: end the other one, or its webhook, or use a bot of Pocketlet's own."
            raise errors.Rejected("Another program reads this bot's messages.", hint=hint)
        found = _result(reply)
        rows = [_object(row) for row in cast("list[object]", found)] if isinstance(found, list) else []
        numbered = [(row["update_id"], row) for row in rows if isinstance(row.get("update_id"), int)]
        return [self._read(key, row) for key, row in sorted(numbered, key=lambda pair: pair[0])]

    def _read(self, key: int, update: Mapping[str, Any]) -> definitions.Incoming:
        said = _object(update.get("message"))
        chat = _object(said.get("chat"))
        words = said.get("text")
        return definitions.Incoming(
            key=key,
            ours=chat.get("type") == "private" and str(chat.get("id")) == self.definition.address,
            own=not any(name in said for name in FOREIGN),
            text=words if isinstance(words, str) else "",
            reference=str(said.get("message_id", "")),
            replies_to=str(_object(said.get("reply_to_message")).get("message_id", "")),
        )

    async def _call(self, method: str, values: Mapping[str, Any], seconds: float) -> wire.Reply:
        """The token is a part of the path: it is scrubbed out of what comes back, and in no error of the wire's."""
        target = wire.Target(self.definition.base_url, self.definition.pinned, MOST_BYTES, seconds)
        headers = {"content-type": "application/json"}
        request = wire.Request("POST", f"/bot{self.token}/{method}", (), headers, json.dumps(values).encode())
        return await wire.send(target, request, scrub=[self.token])


def text(message: definitions.Message) -> str:
    """What is sent: the title, the text and the link; of too long a text the end is cut, never the link."""
    tail = f"\n\n{message.link}" if message.link else ""
    whole = "\n\n".join(part for part in (message.title, message.text) if part)
    units = whole.encode("utf-16-le")
    room = 2 * (LONGEST - len(tail))
    if len(units) > room:
        whole = units[: room - 2 * len(CUT)].decode("utf-16-le", "ignore") + CUT
    return whole + tail


def token(secret: str) -> str:
    """A bot's token. Raises errors.BadSetting, without quoting it."""
    if not TOKEN.fullmatch(secret.strip()):
        raise errors.BadSetting("The bot's token has not the form of one.", hint="BotFather gives it: 123456:ABC…")
    return secret.strip()


def _result(reply: wire.Reply) -> object:
    """What the method gave. Raises errors.Rejected, errors.ServiceBusy, errors.ServiceUncertain."""
    try:
        answer = _object(json.loads(reply.body))
    except (ValueError, RecursionError):
        raise errors.ServiceUncertain(f"Telegram's answer ({reply.status}) can't be read.") from None
    if answer.get("ok") is True:
        return answer.get("result")
    if reply.status == 429:
        after = _object(answer.get("parameters")).get("retry_after")
        pause = after if isinstance(after, int) else 30
        raise errors.ServiceBusy("Telegram wants a pause.", hint="It is tried again.", retry_after=pause)
    if reply.status in (401, 404):
        hint = "Seal the token that BotFather gives: `pocketlet secret set NAME`."
        raise errors.Rejected("Telegram does not know the bot's token.", hint=hint)
    why = " ".join(str(answer.get("description", "")).split())[:200]
    hint = "Write to the bot once, so that it may write to you, and check the chat's id."
    raise errors.Rejected(f"Telegram answered {reply.status}: {why}", hint=hint)


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
