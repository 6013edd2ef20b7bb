"""A mail sink: an SMTP server on loopback that keeps each message in a Maildir, as often as it comes.

A separate program: `python -m pocketlet.demo.sink --maildir DIR [--port N] [--user U --password P]`.
"""

import argparse
import asyncio
import contextlib
import ctypes
import hmac
import mailbox
import signal
import sys
from pathlib import Path

from aiosmtpd import smtp

PR_SET_PDEATHSIG = 1


class Store:
    """Keeps a message before it answers 250; the envelope becomes `Return-Path` and `Delivered-To` lines."""

    def __init__(self, maildir: Path, *, login_required: bool) -> None:
        maildir.parent.mkdir(parents=True, exist_ok=True)
        self._box = mailbox.Maildir(maildir, create=True)
        self._login_required = login_required

    async def handle_MAIL(
        self,
        server: smtp.SMTP,
        session: smtp.Session,
        envelope: smtp.Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if self._login_required and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope) -> str:
        lines = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        head = "".join(f"{line}\r\n" for line in lines)
        self._box.add(head.encode() + (envelope.original_content or b""))
        return "250 Message stored"


class Login:
    """Lets one user in."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user.encode()
        self._password = password.encode()

    def __call__(
        self,
        server: smtp.SMTP,
        session: smtp.Session,
        envelope: smtp.Envelope,
        mechanism: str,
        auth_data: object,
    ) -> smtp.AuthResult:
        known = (
            isinstance(auth_data, smtp.LoginPassword)
            and hmac.compare_digest(auth_data.login, self._user)
            and hmac.compare_digest(auth_data.password, self._password)
        )
        return smtp.AuthResult(success=known, handled=False)


async def serve(maildir: Path, *, port: int = 0, login: Login | None = None) -> asyncio.Server:
    """Start a sink on 127.0.0.1, open to all unless there is a `login`. Raises OSError for a taken port."""
    store = Store(maildir, login_required=login is not None)

    def session() -> smtp.SMTP:
        return smtp.SMTP(
            store,
            authenticator=login,
            auth_require_tls=False,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="pocketlet sink",
        )

    return await asyncio.get_running_loop().create_server(session, "127.0.0.1", port)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="sink", description="An SMTP server on loopback that keeps mail in a Maildir."
    )
    parser.add_argument("--maildir", type=Path, required=True, help="the Maildir to write; made if it is missing")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 lets the system choose")
    parser.add_argument("--user", default=None, help="name for AUTH; without it, everybody may send")
    parser.add_argument("--password", default="", help="password for AUTH")
    arguments = parser.parse_args()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    login = Login(arguments.user, arguments.password) if arguments.user is not None else None
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(arguments.maildir, arguments.port, login))


async def _run(maildir: Path, port: int, login: Login | None) -> None:
    server = await serve(maildir, port=port, login=login)
    sys.stdout.write(f"sink listening on smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    main()
