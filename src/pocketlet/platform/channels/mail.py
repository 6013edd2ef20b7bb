"""Mail to the owner. The Message-ID holds a code that only the receiver of the mail knows: an answer is known by it."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from pocketlet import errors
from pocketlet.platform import compose
from pocketlet.platform.channels import definitions
from pocketlet.platform.gateways import submission

NAME = "Pocketlet"
NOBODY = "pocketlet@localhost.localdomain"
CODE = 32  # hex digits: 128 bits
ID = re.compile(rf"notice-(\d{{1,18}})-([0-9a-f]{{{CODE}}})@([0-9a-f]{{1,64}})\.pocketlet")


@dataclass(frozen=True, slots=True)
class Mail:
    """`key` makes the codes; `instance` names this installation. It is a channel (definitions.Channel)."""

    definition: definitions.Definition
    server: submission.Submission | None
    instance: str
    key: bytes = field(repr=False)

    @property
    def effect_class(self) -> str:
        """With a Sent folder it can be looked up."""
        return "checkable" if self.server and self.server.sent else "unsafe"

    @property
    def sender(self) -> str:
        """Whom it comes from, and where an answer goes."""
        user = self.server.user if self.server and "@" in self.server.user else ""
        return self.definition.sender or user or NOBODY

    async def send(self, message: definitions.Message) -> definitions.Receipt:
        """Raises errors.NoMailServer, errors.MailUncertain, errors.MailRejected."""
        if self.server is None:
            hint = "`pocketlet secret set POCKETLET_SMTP_URL` (smtp://user:password@host:port)."
            raise errors.NoMailServer("There is no mail server to send with.", hint=hint)
        said = await self.server.send(self.written(message), self.sender, self.definition.address)
        return definitions.Receipt("", said[:200])  # what it is called is a secret, and not kept

    async def look(self, message: definitions.Message) -> bool | None:
        """Whether it lies in the Sent folder."""
        return await self.server.was_sent(self._message_id(message)) if self.server else None

    def written(self, message: definitions.Message) -> bytes:
        """The mail: the same bytes at each try."""
        answered = message.answers
        return compose.compose(
            compose.Draft(
                sender=self.sender,
                sender_name=NAME,
                to=self.definition.address,
                subject=message.title[:200],
                body=message.body,
                message_id=self._message_id(message),
                in_reply_to=answered,
                references=(answered,) if answered else (),
                date=message.at,
            )
        )

    def _message_id(self, message: definitions.Message) -> str:
        number = message.id.rpartition("_")[2]
        return f"<notice-{number}-{code(self.key, int(number))}@{self.instance}.pocketlet>"


def code(key: bytes, delivery: int) -> str:
    """What only the receiver of this mail knows; it is made anew from the key, and not stored."""
    return hmac.digest(key, f"mail {delivery}".encode(), hashlib.sha256).hex()[:CODE]


def answered(key: bytes, instance: str, message_id: str) -> int | None:
    """The delivery that a Message-ID (bare, as References has it) names; None if it is not one that we made."""
    match = ID.fullmatch(message_id)
    if match is None or match[3] != instance:
        return None
    return int(match[1]) if hmac.compare_digest(match[2], code(key, int(match[1]))) else None
