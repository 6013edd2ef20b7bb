"""Outgoing mail: SMTP submission, and the look into the Sent folder that tells whether a mail left before a crash."""

import asyncio
import contextlib
import mailbox
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from pocketlet import crashing, errors
from pocketlet.platform import leases
from pocketlet.platform.gateways import endpoints

SECONDS = 30.0
RENAMES = 10  # looks at one file of a Maildir that is never where it was a moment ago, such as a link to nowhere
FOLDER = "See that `sent=` in POCKETLET_SMTP_URL is a Maildir that this user may read, then `pocketlet retry RUN`."
ESCAPES = "Write / # ? @ of a user name or password as %2F %23 %3F %40."


@dataclass(frozen=True, slots=True)
class Submission:
    """A mail server. `sent` is the Maildir where every mail that it took is found again, if there is one."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    sent: Path | None = None

    @property
    def name(self) -> str:
        """The connection as a person knows it, without the password."""
        return f"smtp://{self.host}:{self.port}"

    @crashing.io
    async def send(self, message: bytes, sender: str, to: str) -> str:
        """Hands over one message; what the server said.

        Raises errors.NoMailServer (certainly not sent), errors.MailRejected (certainly not sent, and trying again is
        no use), errors.MailUncertain.
        """
        with contextlib.closing(self._client()) as client:
            try:
                await client.connect()
                await client.mail(sender)
                await client.rcpt(to)
            except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPRecipientRefused) as error:
                raise _answered(self, error) from error
            except (aiosmtplib.SMTPException, OSError) as error:
                raise errors.NoMailServer(f"The mail server {self.name} can't be used: {error}.") from error
            _stay_awake(client)
            try:
                said = await client.data(message)
            except aiosmtplib.SMTPDataError as error:
                raise _answered(self, error) from error
            except (aiosmtplib.SMTPException, OSError) as error:
                raise errors.MailUncertain(f"The connection to {self.name} broke while it took the message.") from error
            return f"{said.code} {said.message}"

    @crashing.io
    async def greet(self) -> None:
        """Logs in and leaves again. Raises errors.NoMailServer."""
        client = self._client()
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise errors.NoMailServer(f"The mail server {self.name} can't be used: {error}.") from error
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user or None,
            password=self.password or None,
            use_tls=self.tls,
            start_tls=self._start_tls(),
            timeout=SECONDS,
        )

    def _start_tls(self) -> bool | None:
        """Whether to insist on STARTTLS; None: only if it is offered. No password leaves the machine in clear."""
        if self.tls or not self.user:
            return False
        return None if endpoints.is_loopback(self.host) else True

    @crashing.io
    async def was_sent(self, message_id: str) -> bool | None:
        """Whether the Sent folder holds the message; None if there is no such folder to look into.

        Raises errors.NoMailServer if the folder can't be read.
        """
        if self.sent is None:
            return None
        try:
            return await asyncio.to_thread(_holds, self.sent, message_id)
        except (mailbox.Error, OSError) as error:
            why = getattr(error, "strerror", "") or "it is gone"
            raise errors.NoMailServer(f"The Sent folder of {self.name} can't be read: {why}.", hint=FOLDER) from error


def _stay_awake(client: aiosmtplib.SMTP) -> None:
    """From here on nothing is written after the lease: the library writes a mail as soon as it reads "go ahead"."""
    protocol = client.protocol
    if protocol is None:
        raise errors.NoMailServer("The mail server left.")
    write = protocol.write

    def awake(data: bytes) -> None:
        leases.check()
        write(data)

    protocol.write = awake


def _answered(server: Submission, error: aiosmtplib.SMTPResponseException) -> errors.PocketletError:
    said = f"{error.code} {error.message}"
    if error.code >= 500:
        return errors.MailRejected(f"{server.name} rejected the mail: {said}.")
    return errors.NoMailServer(f"{server.name} did not take the mail now: {said}.")


def _holds(folder: Path, message_id: str) -> bool | None:
    if not folder.is_dir():
        return None
    box = mailbox.Maildir(folder, create=False)
    return any(_message_id(box, key) == message_id for key in box.iterkeys())


def _message_id(box: mailbox.Maildir, key: str) -> str:
    """Of one file; empty if there is none any more. Whoever reads mail renames it meanwhile: then it is looked up anew,
    as what is passed over would be sent again.
    """
    for _ in range(RENAMES):
        try:
            return (box.get_message(key).get("Message-ID") or "").strip()
        except FileNotFoundError:
            continue
        except KeyError:
            break
    return ""


def read(url: str | None) -> Submission | None:
    """The server in `smtp[s]://user:password@host:port?sent=/path/to/Maildir`. Raises errors.BadSetting."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or (465 if parts.scheme == "smtps" else 587)
        if "@" in parts.path + parts.fragment:
            raise ValueError("a / or # of the password ended the host")
    except ValueError:  # its text is not passed on: what it quotes as the port may be a part of the password
        raise errors.BadSetting("POCKETLET_SMTP_URL is not a URL.", hint=ESCAPES) from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise errors.BadSetting("POCKETLET_SMTP_URL must be like smtp://user:password@host:587.")
    sent = parse_qs(parts.query).get("sent", [""])[0]
    return Submission(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "smtps",
        sent=Path(sent) if sent else None,
    )
