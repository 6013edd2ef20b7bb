"""The files of a folder or an archive, read into memory: nothing is unpacked to disk, nothing outside is followed."""

import gzip
import io
import os
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pocketlet import errors

MAX_FILES = 500
MAX_FILE = 1_000_000  # bytes of one file
MAX_TOTAL = 8_000_000  # bytes of all files
MAX_ARCHIVE = 16_000_000  # bytes of an archive as it lies there
MAX_TAR = 2 * MAX_TOTAL  # bytes of an archive without its compression: the files, and a block of header for each
MAX_PATH = 200  # characters
ARCHIVES = (".zip", ".skill", ".tar.gz", ".tgz", ".tar")
#: What tools leave behind; it is no part of a skill, however the skill travels.
JUNK = {".git", ".DS_Store", "__MACOSX", "__pycache__"}
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(slots=True)
class Shelf:
    """Files as they come in, counted. `where` names the place in messages."""

    where: str
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    seen: set[str] = field(default_factory=set[str])
    total: int = 0

    def admit(self, path: str, size: int) -> str:
        """The path as it is kept, or nothing if the file is junk. Raises errors.BadInput."""
        path = path.removeprefix("./")
        check_path(path, self.where)
        if JUNK & set(path.split("/")):
            return ""
        same = unicodedata.normalize("NFC", path).casefold()
        if same in self.seen:
            raise errors.BadInput(f"{self.where} holds {path!r} twice (capital letters make no difference).")
        self.seen.add(same)
        if len(self.seen) > MAX_FILES:
            raise errors.BadInput(f"{self.where} holds more than {MAX_FILES} files.")
        if size > MAX_FILE:
            raise errors.BadInput(f"{self.where}: {path!r} is larger than {MAX_FILE // 1_000_000} MB.")
        return path

    def put(self, path: str, content: bytes) -> None:
        """Keeps a file that was admitted; what an archive says of its size is not believed. Raises errors.BadInput."""
        if len(content) > MAX_FILE:
            raise errors.BadInput(f"{self.where}: {path!r} is larger than {MAX_FILE // 1_000_000} MB.")
        self.total += len(content)
        if self.total > MAX_TOTAL:
            raise errors.BadInput(f"{self.where} holds more than {MAX_TOTAL // 1_000_000} MB.")
        self.files[path] = content

    def whole(self) -> Mapping[str, bytes]:
        """All files, in the order of their paths. Raises errors.BadInput if one is a folder for another."""
        for path in self.files:
            parts = path.split("/")
            if any("/".join(parts[:count]) in self.files for count in range(1, len(parts))):
                raise errors.BadInput(f"{self.where}: {path!r} lies in a file.")
        return dict(sorted(self.files.items()))


def check_path(path: str, where: str) -> None:
    """Raises errors.BadInput unless `path` leads to a place inside, on every system."""
    odd = any(unicodedata.category(character) in ("Cc", "Cs") or character in '\\:*?"<>|' for character in path)
    if odd or len(path) > MAX_PATH or any(part in ("", ".", "..") for part in path.split("/")):
        raise errors.BadInput(f"{where} holds a file with a path that is not usable: {path[:MAX_PATH]!r}.")


def is_archive(path: Path) -> bool:
    """Whether the name is that of an archive that can be read."""
    return path.name.lower().endswith(ARCHIVES)


def read(path: Path) -> Mapping[str, bytes]:
    """The files of a folder or an archive by relative path. Raises errors.BadInput, OSError."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file() or not is_archive(path):
        raise errors.BadInput(
            f"{path} is neither a folder nor an archive.", hint=f"Archives end in {', '.join(ARCHIVES)}."
        )
    if path.stat().st_size > MAX_ARCHIVE:
        raise errors.BadInput(f"{path.name} is larger than {MAX_ARCHIVE // 1_000_000} MB.")
    try:
        return _zip(path) if path.name.lower().endswith((".zip", ".skill")) else _tar(path)
    except (*BROKEN, gzip.BadGzipFile) as error:
        raise errors.BadInput(f"{path.name} is not an archive that can be read: {error}.") from error


def _folder(folder: Path) -> Mapping[str, bytes]:
    shelf = Shelf(folder.name or str(folder))
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - JUNK)
        for name in sorted((*names, *folders)):
            entry = Path(place, name)
            if entry.is_symlink():
                raise errors.BadInput(f"{shelf.where}: {entry.relative_to(folder).as_posix()!r} is a link.")
            if entry.is_dir():
                continue
            if not entry.is_file():
                raise errors.BadInput(f"{shelf.where}: {entry.relative_to(folder).as_posix()!r} is no ordinary file.")
            if path := shelf.admit(entry.relative_to(folder).as_posix(), entry.stat().st_size):
                shelf.put(path, entry.read_bytes())
    return shelf.whole()


def _zip(path: Path) -> Mapping[str, bytes]:
    shelf = Shelf(path.name)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
                raise errors.BadInput(f"{shelf.where}: {entry.filename!r} is a link or no ordinary file.")
            if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise errors.BadInput(f"{shelf.where}: {entry.filename!r} is encrypted or packed in an unusual way.")
            if kept := shelf.admit(entry.orig_filename, entry.file_size):
                with archive.open(entry) as stream:
                    shelf.put(kept, stream.read(MAX_FILE + 1))
    return shelf.whole()


def _tar(path: Path) -> Mapping[str, bytes]:
    shelf = Shelf(path.name)
    packed = not path.name.lower().endswith(".tar")
    with gzip.open(path) if packed else path.open("rb") as stream:
        content = stream.read(MAX_TAR + 1)
    if len(content) > MAX_TAR:
        raise errors.BadInput(f"{shelf.where} holds more than {MAX_TOTAL // 1_000_000} MB.")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for entry in archive:
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise errors.BadInput(f"{shelf.where}: {entry.name!r} is a link or no ordinary file.")
            if kept := shelf.admit(entry.name, entry.size):
                stream = archive.extractfile(entry)
                shelf.put(kept, stream.read(MAX_FILE + 1) if stream else b"")
    return shelf.whole()
