"""One folder of a git repository at one commit, over https or from a file: nothing is checked out, so nothing runs.

Objects are fetched into a bare repository of their own and read from there: no hook, filter, submodule, link or
configuration of that repository, of this user or of this machine has a say.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib import parse as parse_url

from pocketlet import errors
from pocketlet.agents.skills import files, package

SECONDS = 120.0
PORT = 443
MAX_PACK = 64  # MiB of one file that git writes
MAX_LISTED = 50_000  # files of a commit
URL = re.compile(r"(https://[^/@#\s]+/[^@#\s]+|file:///[^@#\s]+)(?:@([\w.][\w./-]{0,99}))?(?:#(\S+))?")
CLONE = "Check the address. Of a private one, clone it yourself and give the folder."
SAFE = (
    *("-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c", "protocol.file.allow=always"),
    *("-c", "http.followRedirects=false", "-c", "http.proxy=", "-c", "credential.helper=", "-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false", "-c", f"core.hooksPath={os.devnull}", "-c", "fetch.recurseSubmodules=false"),
)


#: What git says, what that means, and what to do.
KNOWN = (
    ("could not read username", "there is no such repository, or it is not a public one", CLONE),
    ("not found", "there is no such repository, or it is not a public one", CLONE),
    ("does not appear to be a git repository", "that is no git repository", "Check the path."),
    ("couldn't find remote ref", "it has no such branch, tag or commit", "Check what stands after the @."),
    ("not our ref", "it has no such commit, or does not hand it out", "Check what stands after the @; 40 digits."),
    ("could not resolve host", "its host can't be found", "Check the address and the network."),
    ("failed to connect", "its host does not answer", "Check the address and the network."),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A repository, the commit or branch of it, and the folder in there (or its last part, or empty)."""

    url: str
    revision: str
    folder: str


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of the skill's folder at `commit`; `folder` is that folder."""

    commit: str
    folder: str
    files: Mapping[str, bytes]


def is_url(source: str) -> bool:
    """Whether this is meant to be a repository, usable or not."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[\w.-]+@[\w.-]+:", source) is not None


def parse(source: str) -> Wanted:
    """What `URL[@COMMIT][#FOLDER]` names. Raises errors.BadInput."""
    match = URL.fullmatch(source)
    if match is None:  # the text is not repeated: it may hold a password
        raise errors.BadInput(
            "That is not a repository that skills can come from.",
            hint="Write https://HOST/PATH or file:///PATH, then @COMMIT and #FOLDER if need be; no user, no password.",
        )
    return Wanted(match[1], match[2] or "HEAD", match[3] or "")


def read(wanted: Wanted, addresses: Sequence[str] = ()) -> Tree:
    """The files, from one of these addresses of the host and from no other.

    A git before 2.37 looks the name up itself. Raises errors.BadInput, errors.Unreachable.
    """
    pins: list[str] = []
    if addresses and "[" not in wanted.url:  # an address is not looked up
        place = parse_url.urlsplit(wanted.url)
        shown = ",".join(f"[{one}]" if ":" in one else one for one in addresses)
        pins = ["-c", f"http.curloptResolve={place.hostname}:{place.port or PORT}:{shown}"]
    with tempfile.TemporaryDirectory(prefix="pocketlet-skill-") as place:
        repository = _Repository(_program(), Path(place))
        repository.run("init", "--quiet", "--bare", place)
        fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--end-of-options", wanted.url, wanted.revision)
        repository.run(*pins, *fetch, where=wanted.url)
        commit = repository.run("rev-parse", "--verify", "FETCH_HEAD^{commit}").decode().strip()
        return _read(repository, commit, wanted.folder, wanted.url)


def _program() -> str:
    found = shutil.which("git")
    if found is None:
        raise errors.BadInput("git is not installed here.", hint="Install git, or give a folder or an archive.")
    return found


@dataclass(frozen=True, slots=True)
class _Repository:
    git: str
    place: Path

    def run(self, *arguments: str, given: bytes = b"", where: str = "") -> bytes:
        """What git prints. Raises errors.Unreachable; `where` is the URL to name."""
        # The shell does nothing but set the limit, which children inherit, before git begins.
        limited = ["/bin/sh", "-c", f'ulimit -f {MAX_PACK * 2048} && exec "$@"', "sh"]
        with subprocess.Popen(
            [*limited, self.git, *SAFE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.place,
            env=self._environment(),
            start_new_session=True,
        ) as process:
            try:
                output, complaints = process.communicate(given, timeout=SECONDS)
            except subprocess.TimeoutExpired as error:
                raise errors.Unreachable(f"git did not end within {SECONDS:.0f} seconds.") from error
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            said, hint = _explained(complaints.decode("utf-8", "replace"))
            raise errors.Unreachable(f"git could not read {where or 'the repository'}: {said}.", hint=hint)
        return output

    def _environment(self) -> dict[str, str]:
        """Nothing of the caller's: no proxy, no keys, no configuration."""
        return {
            "PATH": os.pathsep.join((str(Path(self.git).parent), os.defpath)),
            "HOME": str(self.place),
            "LC_ALL": "C",
            "GIT_DIR": str(self.place),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "https:file",
            "GIT_NO_LAZY_FETCH": "1",
        }


def _explained(complaints: str) -> tuple[str, str]:
    """What git complains of first, in words that help, and what to do. Its later lines follow from that."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()] or ["it gave no reason"]
    fatal = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])
    said = fatal.partition(": ")[2] if fatal.startswith(("fatal: ", "error: ")) else fatal
    for part, words, hint in KNOWN:
        if part in said.lower():
            return words, f"{hint} Nothing was changed."
    return said.rstrip(".")[:300], "Check the address and the commit; nothing was changed."


def _read(repository: _Repository, commit: str, wanted: str, url: str) -> Tree:
    listed = _listed(repository.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit))
    if len(listed) > MAX_LISTED:
        raise errors.BadInput(f"{url} holds more than {MAX_LISTED} files.")
    prefix = package.locate(listed, wanted, url)
    shelf = files.Shelf(url)
    names: dict[str, str] = {}
    for path, (mode, name, size) in listed.items():
        if path.startswith(prefix):
            if not mode.startswith("100"):
                raise errors.BadInput(f"{url}: {path!r} is a link or another repository.")
            if kept := shelf.admit(path.removeprefix(prefix), size):
                names[kept] = name
    batch = repository.run("cat-file", "--batch", given="".join(f"{name}\n" for name in names.values()).encode())
    for path in names:
        head, _, batch = batch.partition(b"\n")
        size = int(head.split()[-1])
        shelf.put(path, batch[:size])
        batch = batch[size + 1 :]
    return Tree(commit, prefix.rstrip("/"), shelf.whole())


def _listed(lines: bytes) -> dict[str, tuple[str, str, int]]:
    """Mode, object and size by path, of what ls-tree prints."""
    found: dict[str, tuple[str, str, int]] = {}
    for line in filter(None, lines.split(b"\0")):
        about, _, path = line.partition(b"\t")
        mode, _, name, size = about.decode().split()
        found[path.decode("utf-8", "backslashreplace")] = mode, name, int(size) if size != "-" else 0
    return found
