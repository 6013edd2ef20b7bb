"""The agent folder on disk: agent.toml, INSTRUCTIONS.md, lessons/, skills/, schema/, data/."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pocketlet import clock, errors
from pocketlet.agents import playbook as playbooks
from pocketlet.platform.gateways import endpoints

MAX_FILE = 1_000_000  # bytes of one text file; data files are streamed and have no cap


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that was read whole and found to be well-formed; `data` maps a table to its file."""

    playbook: playbooks.Playbook
    data: dict[str, Path]


def read(path: Path) -> Folder:
    """Reads and checks everything but the SQL. Raises errors.BadAgent; touches nothing."""
    if not path.is_dir():
        raise errors.BadAgent(f"{path} is not a folder.", hint="Give the folder that holds agent.toml.")
    if not (path / "agent.toml").is_file():
        raise errors.BadAgent(f"{path} holds no agent.toml.", hint="`name`, `job` and `model` are all it needs.")
    _stay_inside(path)
    since = clock.now().isoformat(timespec="seconds")
    playbook = playbooks.Playbook(
        manifest_text=_text(path / "agent.toml"),
        instructions=_text(path / "INSTRUCTIONS.md") if (path / "INSTRUCTIONS.md").is_file() else "",
        lessons=tuple(
            playbooks.parse_lesson(file.stem, _text(file), since=since) for file in _files(path / "lessons", ".md")
        ),
        skills=tuple(_skill(folder) for folder in _folders(path / "skills")),
        schema_files={file.name: _text(file) for file in _files(path / "schema", ".sql")},
    )
    _check_model(playbook.manifest.model)  # parsing refuses a broken manifest before anything is made
    return Folder(playbook, _data(path / "data"))


def write(path: Path, files: dict[str, str]) -> None:
    """Writes files into a new or empty folder.

    Raises errors.Conflict if something is there, or if a name (a table's may be anything) leads out of the folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise errors.Conflict(f"{path} is not empty.", hint="Export into a new folder.")
    for name in files:
        if not (path / name).resolve().is_relative_to(path.resolve()):
            raise errors.Conflict(f"{name!r} would be written outside of {path}.", hint="Rename that table first.")
    for name, text in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")


def _stay_inside(folder: Path) -> None:
    """Somebody else's folder must not read the importer's other files. Raises errors.BadAgent."""
    root = folder.resolve()
    for entry in sorted(folder.rglob("*")):
        if entry.is_symlink() and not entry.resolve().is_relative_to(root):
            raise errors.BadAgent(f"{entry.relative_to(folder)} is a link to a file outside the folder.")


def _check_model(model: str) -> None:
    provider, _, name = model.partition(":")
    if not name or provider not in endpoints.PROVIDERS:
        known = ", ".join(endpoints.PROVIDERS)
        raise errors.BadAgent(f"agent.toml: `model` is written provider:name, not {model!r}; providers are {known}.")


def _skill(folder: Path) -> playbooks.Skill:
    files = {
        file.relative_to(folder).as_posix(): _text(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }
    return playbooks.parse_skill(folder.name, files)


def _data(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in [*_files(folder, ".csv"), *_files(folder, ".jsonl")]:
        if file.stem in found:
            raise errors.BadAgent(f"data/ holds {file.stem} twice, as .csv and .jsonl.")
        found[file.stem] = file
    return found


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    if folder.is_dir():
        yield from (file for file in sorted(folder.iterdir()) if file.suffix == suffix and file.is_file())


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith("."))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE:
            raise errors.BadAgent(f"{path.name} is larger than {MAX_FILE // 1_000_000} MB.")
        return path.read_bytes().decode("utf-8").replace("\x00", "")
    except UnicodeDecodeError as error:
        raise errors.BadAgent(f"{path.name} is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise errors.BadAgent(f"{path} can't be read: {error.strerror}.") from error
