"""`pocketlet feedback`: what is no feedback at all."""

from pathlib import Path

import command_line
import pytest


@pytest.mark.parametrize("content", [b"", b" \n", b"\xef\xbb\xbf", b"\0"])
def test_an_empty_draft_is_not_taken_for_a_good_word(cli: command_line.Cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "edited").write_bytes(content)
    result = cli("feedback", "1", "--edited", tmp_path / "edited")
    assert (result.code, result.out) == (2, "")
    assert "edited is empty." in result.err
    assert "Next: " in result.err
