"""A real mail server with mailboxes (Dovecot 2.3 of Debian), as an ordinary user, in a folder of its own."""

import grp
import mailbox
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from pocketlet.platform import accounts
from pocketlet.platform.gateways import mailbox as gateway

PROGRAM = Path("/usr/sbin/dovecot")
USER = "me@shop.example"
PASSWORD = 'p "w\\ö{3}'
CONFIG = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
mail_location = maildir:{folder}/mail
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
mailbox_idle_check_interval = 1s
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}
}}
namespace inbox {{
  inbox = yes
}}
"""


def missing() -> bool:
    """Whether this machine has no Dovecot. In CI it has to be there."""
    return not PROGRAM.exists() and os.environ.get("CI") != "true"


class Dovecot:
    """The server; `account` is its only one."""

    def __init__(self, folder: Path, mechanisms: str) -> None:
        self.folder = folder
        self.account = gateway.Account("127.0.0.1", _free_port(), USER, PASSWORD, tls=False, pinned=gateway.LOOPBACK)
        self._owner = accounts.for_server()
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n", encoding="utf-8")
        group = _group(self._owner.gid)
        text = CONFIG.format(
            folder=folder,
            port=self.account.port,
            user=self._owner.name,
            group=group,
            uid=self._owner.uid,
            gid=self._owner.gid,
            mechanisms=mechanisms,
        )
        (folder / "dovecot.conf").write_text(text, encoding="utf-8")
        for name in ("mail", "mail/new", "mail/cur", "mail/tmp"):
            (folder / name).mkdir()
        for path in (folder, *folder.rglob("*")):
            accounts.give(path, self._owner)

    def start(self) -> None:
        """Starts it; it answers when this returns."""
        command = [PROGRAM, "-F", "-c", self.folder / "dovecot.conf"]
        with (self.folder / "out").open("ab") as out:
            user = self._owner.name if os.geteuid() == 0 else None
            self._process = subprocess.Popen(
                command,
                user=user,
                group=self._owner.gid if user else None,
                extra_groups=[] if user else None,
                stdout=out,
                stderr=out,
                cwd="/",
                start_new_session=True,
            )
        # The first connection waits in the kernel's queue until the login service takes it.
        while self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.account.port), timeout=30) as connection:
                    if connection.recv(10):
                        return
            except ConnectionError:
                continue
        raise AssertionError((self.folder / "out").read_text() + (self.folder / "log").read_text())

    def stop(self) -> None:
        """Ends it at once, and every connection with it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def deliver(self, raw: bytes, folder: str = "") -> str:
        """Puts a mail into a folder, as a delivery agent does; its key there."""
        box = mailbox.Maildir(self.folder / "mail" / folder, create=False)
        key = box.add(raw)
        self.own()
        return key

    def age(self, key: str, seconds: int) -> None:
        """Makes a mail older than it is: when the server got it is the file's time."""
        path = self.folder / "mail/new" / key
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))

    def renumber(self, validity: int, numbers: dict[int, str] | None = None) -> None:
        """Forgets all numbers of mails: the next start gives new ones, after these of keys from `deliver`."""
        for path in (self.folder / "mail").glob("dovecot*"):
            path.unlink()
        known = numbers or {}
        lines = [f"3 V{validity} N{max(known, default=0) + 1} G{'0123456789abcdef' * 2}"]
        lines += [f"{uid} :{key}" for uid, key in known.items()]
        (self.folder / "mail/dovecot-uidlist").write_text("\n".join(lines) + "\n")
        self.own()

    def own(self) -> None:
        """Gives what a test wrote to the server's user."""
        for path in (self.folder / "mail").rglob("*"):
            if path.stat().st_uid != self._owner.uid:
                accounts.give(path, self._owner)


def mail(number: int, body: str = "Hello.") -> bytes:
    """A small mail with a Message-ID of its own."""
    message = EmailMessage()
    message["From"] = "ann@customer.example"
    message["To"] = USER
    message["Subject"] = f"Order {number}"
    message["Message-ID"] = f"<{number}@customer.example>"
    message.set_content(body)
    return message.as_bytes()


@contextmanager
def running(mechanisms: str = "plain") -> Iterator[Dovecot]:
    """The server, started; gone afterwards."""
    # Sockets' paths have to be short.
    folder = Path(tempfile.mkdtemp(prefix="dc-"))
    folder.chmod(0o755)
    server = Dovecot(folder, mechanisms)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _group(gid: int) -> str:
    return grp.getgrgid(gid).gr_name
