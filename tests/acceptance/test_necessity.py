"""The policy is followed because of the lesson: with its file deleted by hand, it is not followed any more."""

import json
from pathlib import Path
from typing import Any

from .conftest import Run


def drafted(pocketlet: Run, name: str, folder: Path, mail: Path, model: str) -> str:
    """What the agent of that folder, under that name, wants to answer."""
    manifest = folder / "agent.toml"
    manifest.write_text(manifest.read_text().replace('name = "crm"', f'name = "{name}"'))
    imported = pocketlet("agent", "import", str(folder))
    assert imported.returncode == 0, imported.stderr
    done = pocketlet("run", name, "--input", str(mail), "--json", env={"OPENAI_BASE_URL": model})
    assert done.returncode == 3, done.stderr
    return json.loads(done.stdout)["approvals"][0]["body"]


def test_without_the_lesson_the_policy_is_gone(
    story: dict[str, Any], pocketlet: Run, place: Path, tmp_path: Path, standin_url: str
) -> None:
    learned = next(step["facts"]["revision"] for step in story["steps"] if step["id"] == "feedback")
    assert pocketlet("adopt", "crm", str(learned)).returncode == 0
    for name in ("kept", "bare"):
        assert pocketlet("agent", "export", "crm", str(tmp_path / name)).returncode == 0
    lessons = list((tmp_path / "bare" / "lessons").iterdir())
    assert len(lessons) == 1
    lessons[0].unlink()

    mail = place / "demo" / "mails" / "second.eml"
    with_it = drafted(pocketlet, "kept", tmp_path / "kept", mail, standin_url)
    without = drafted(pocketlet, "bare", tmp_path / "bare", mail, standin_url)
    assert "10 %" in with_it
    assert "It will be with you by" not in with_it
    assert "10 %" not in without
    assert "It will be with you by" in without
