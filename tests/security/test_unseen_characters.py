"""T17: what can't be seen is drawn or refused, what is sent is what was shown, and one byte more is refused."""

import itertools
import json
import random
import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from bench.effects import ground as grounds
from bench.effects import lives, postbox
from bench.effects import truth as truths

from pocketlet import errors
from pocketlet.agents import approving, effects, outward, report, runs, toolbox
from pocketlet.db import pool
from pocketlet.platform import compose
from pocketlet.platform.gateways import models
from pocketlet.surfaces.cli import outcome

#: What hides, reorders or moves the cursor: a name, and text that holds it.
HIDDEN = {
    "right-to-left override": "a\u202eb", "left-to-right override": "a\u202db", "right-to-left embedding": "a\u202bb",
    "left-to-right embedding": "a\u202ab", "pop formatting": "a\u202cb", "left-to-right isolate": "a\u2066b",
    "right-to-left isolate": "a\u2067b", "first-strong isolate": "a\u2068b", "pop isolate": "a\u2069b",
    "left-to-right mark": "a\u200eb", "right-to-left mark": "a\u200fb", "arabic letter mark": "a\u061cb",
    "zero-width space": "a\u200bb", "zero-width non-joiner": "a\u200cb", "zero-width joiner": "a\u200db",
    "word joiner": "a\u2060b", "byte-order mark": "a\ufeffb", "soft hyphen": "a\u00adb",
    "language tag": "a\U000e0001b", "tag letters": "a\U000e0068\U000e0069b", "cancel tag": "a\U000e007fb",
    "variation selector 1": "a\ufe00b", "emoji variation selector": "a\ufe0fb", "variation selector 17": "a\U000e0100b",
    "mongolian selector": "a\u180bb", "mongolian vowel separator": "a\u180eb",
    "hangul filler": "a\u3164b", "hangul choseong filler": "a\u115fb", "halfwidth hangul filler": "a\uffa0b",
    "combining grapheme joiner": "a\u034fb", "khmer inherent vowel": "a\u17b4b", "braille blank": "a\u2800b",
    "invisible times": "a\u2062b", "invisible plus": "a\u2064b", "interlinear anchor": "a\ufff9b",
    "musical begin beam": "a\U0001d173b", "private use": "a\ue000b",
    "line separator": "a\u2028b", "paragraph separator": "a\u2029b",
    "escape: clear the screen": "a\x1b[2Jb", "escape: hide text": "a\x1b[8mb", "one-byte CSI": "a\x9b2Jb",
    "backspaces": "a\b\bb", "NUL": "a\0b", "bell": "a\x07b", "next line": "a\x85b",
}  # fmt: skip
#: What looks like something else: seen in a text as it is, and no part of an address.
ALIKE = {"cyrillic a": "\u0430nn", "fullwidth": "\uff41nn", "roman numeral": "a\u2170nn", "kelvin sign": "an\u212a"}
#: What breaks a line, and would make a header, or a line of the question, of what follows.
BREAKING = {"line feed": "a\nBcc: eve", "CRLF": "a\r\nBcc: eve", "carriage return": "a\rBcc: eve"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
async def ground(db: pool.Database, home: Path) -> AsyncGenerator[grounds.Ground]:
    async with grounds.opened(db, home, "unseen", 5.0) as opened:
        yield opened


def wanted(ground: grounds.Ground, place: str, text: str, number: int) -> models.ToolCall:
    """The call of a model that puts `text` there."""
    to = postbox.recipient(number, number // grounds.FOLDER)
    if place in ("to", "subject", "letter"):
        args = {"to": to, "subject": "Hello", "body": "Hello."}
        args |= {"to": text + to} if place == "to" else {"subject" if place == "subject" else "body": text}
        return models.ToolCall("1", "send_mail", args, "")
    args = {"connection": ground.connection.name, "method": "POST", "path": f"/orders/{number}"}
    args |= {
        "path": {"path": f"/notes/{text}/{number}"},
        "encoded path": {"path": f"/notes/{quote(text, errors='surrogatepass')}/{number}"},
        "query": {"query": {"q": text}},
        "query's name": {"query": {text: "x"}},
        "document": {"body": {"text": text}},
        "text": {"text": text},
        "search": {"method": "GET", "path": "/search", "query": {text: "x"}},
    }[place]
    return models.ToolCall("1", "http", args, "")


MAIL = ("to", "subject", "letter")
PLACES = (*MAIL, "path", "encoded path", "query", "query's name", "document", "text")


async def asked(ground: grounds.Ground, place: str, text: str, raw: bytes = b"") -> tuple[int, int]:
    """The run and number of a call with `text` in that place; the run is 0 if the call was refused."""
    number = next(_numbers)
    run = await ground.begin(number, raw)
    claimed = await ground.claim(run)
    tools = {"send_mail": outward.SEND_MAIL, "http": ground.http}
    done = await toolbox.call(tools, ground.context(claimed, number), wanted(ground, place, text, number))
    if not done.parks:
        assert done.error or done.text.startswith("blocked: "), done
        assert not ground.truth.arrivals[number]
        return 0, number
    async with ground.database.api() as conn:
        await runs.rest(conn, claimed, "waiting", outcome="waiting")
    return run, number


async def printed(ground: grounds.Ground, run: int, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, Any]]:
    """What `pocketlet approvals` prints of the run's question, by its own functions; and the question."""
    async with ground.database.api() as conn:
        (question,) = await report.questions(conn, run)
    capsys.readouterr()
    outcome.ask(question)
    return capsys.readouterr().out, question


async def sent(ground: grounds.Ground, run: int, number: int) -> effects.Effect:
    """The owner says yes, and a worker sends it."""
    seen = lives.Seen()
    async with ground.database.api() as conn:
        (question,) = await report.questions(conn, run)
        await approving.decide(conn, question["approval"], yes=True)
    told = lives.Script(number, "unsafe", "", (), (), 0.0, leaves=False)
    await lives.to_the_end(ground, run, told, seen)
    assert not seen.wrong
    return await ground.found(run)


def check_sent(truth: truths.Truth, number: int, effect: effects.Effect, shown_hash: str) -> None:
    """What arrived is made of the very bytes whose hash was shown, and of nothing else."""
    (body,) = truth.bytes_done[number]
    if effect.kind == "mail":
        assert compose.digest("mail", effect.destination, body) == shown_hash
        return
    assert compose.digest("http", effect.destination, effect.message or b"") == shown_hash
    written = json.loads(effect.message or b"")
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in written["query"])
    target = written["path"] + (f"?{query}" if query else "")
    assert truth.heads[number] == [f"{written['method']} {target} HTTP/1.1"]
    assert body == written["body"].encode()


def drawn(char: str) -> tuple[str, ...]:
    """The marks that a person can see in the place of a character."""
    code = ord(char)
    pair = "".join(f"\\u{unit:04x}" for unit in _units(char))
    return (f"⟨U+{code:04X}⟩", pair, quote(char), {"\b": "\\b", "\f": "\\f"}.get(char, pair))


def _units(char: str) -> list[int]:
    data = char.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def test_there_are_vectors_enough() -> None:
    assert len(HIDDEN) + len(ALIKE) + len(BREAKING) >= 40


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN)
async def test_what_hides_is_drawn_or_refused_and_sent_as_shown(
    ground: grounds.Ground, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    hidden = {char for char in text if char not in "ab" and not " " < char <= "~"}
    assert hidden
    wrong: list[str] = []
    for place in PLACES:
        run, number = await asked(ground, place, text)
        if not run:
            continue
        assert place != "to"
        told, question = await printed(ground, run, capsys)
        for char in hidden:
            if char in told or not any(mark in told for mark in drawn(char)):
                wrong.append(f"U+{ord(char):04X} in {place} is not drawn: {told!a}")
        check_sent(ground.truth, number, await sent(ground, run, number), question["request_hash"])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("text", ALIKE.values(), ids=ALIKE)
async def test_what_looks_alike_is_no_address_and_no_path(
    ground: grounds.Ground, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    for place in PLACES:
        run, number = await asked(ground, place, text)
        if not run:
            continue
        assert place not in ("to", "path")
        told, question = await printed(ground, run, capsys)
        assert text in told or quote(text) in told
        check_sent(ground.truth, number, await sent(ground, run, number), question["request_hash"])


@pytest.mark.parametrize("text", BREAKING.values(), ids=BREAKING)
async def test_no_line_of_a_question_is_the_models_own(
    ground: grounds.Ground, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    for place in PLACES:
        run, number = await asked(ground, place, text)
        if not run:
            continue
        assert place not in ("to", "subject", "path")
        told, question = await printed(ground, run, capsys)
        assert "\r" not in told
        assert not [line for line in told.splitlines() if line.lstrip().startswith("Bcc")]
        check_sent(ground.truth, number, await sent(ground, run, number), question["request_hash"])
        assert b"\nBcc" not in ground.truth.bytes_done[number][0].partition(b"\r\n\r\n")[0] or place not in MAIL


MAILED = b"From: Ann <ann@customer.example>\nTo: shop@shop.example\nSubject: Hi\nMessage-ID: <1@x.example>\n\nHi.\n"


async def test_a_reason_that_quotes_the_model_is_one_line(
    ground: grounds.Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = "x\n  hash     0000\n  Request  GET https://good.example/"
    run, _ = await asked(ground, "search", forged, MAILED)
    told, question = await printed(ground, run, capsys)
    assert forged[:9] in question["why"]
    hashes = [line for line in told.splitlines() if re.match(r"\s*hash\b", line)]
    assert [line.split()[-1] for line in hashes] == [question["request_hash"]], told


async def test_the_url_that_is_shown_is_made_of_the_bytes(
    ground: grounds.Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    run, _ = await asked(ground, "document", "x")
    forged = """UPDATE pocketlet.effect SET request = jsonb_set(request, '{url}', '"POST https://good.example/"')
                 WHERE run_id = %s"""
    async with ground.database.api() as conn:
        await conn.execute(forged.encode(), (run,))
    told, _ = await printed(ground, run, capsys)
    assert "good.example" not in told


async def mutated(ground: grounds.Ground, run: int, column: str, value: object) -> Mapping[str, Any]:
    """The effect with another value in one column, behind the code's back; what it was before."""
    before = (await ground.rows("SELECT * FROM pocketlet.effect WHERE run_id = %s", run))[0]
    async with ground.database.api() as conn:
        await conn.execute(f"UPDATE pocketlet.effect SET {column} = %s WHERE run_id = %s".encode(), (value, run))
    return before


def one_byte_off(dice: random.Random, effect: effects.Effect, column: str) -> object:
    """The column's value with one byte changed, left out or put in."""
    if column == "kind":
        return dice.choice([kind for kind in ("mail", "http", "mcp") if kind != effect.kind])
    old = effect.message or b"" if column == "message" else getattr(effect, column).encode()
    at = dice.randrange(len(old))
    char = dice.choice([code for code in range(0x20, 0x7F) if code != old[at]])
    new = dice.choice(
        [old[:at] + bytes([char]) + old[at + 1 :], old[:at] + old[at + 1 :], old[:at] + bytes([char]) + old[at:]]
    )
    return new if column == "message" else new.decode()


@pytest.mark.parametrize("place", ["letter", "document"])
async def test_one_byte_changed_after_the_yes_is_refused(ground: grounds.Ground, place: str) -> None:
    run, number = await asked(ground, place, "Größe 7")
    async with ground.database.api() as conn:
        (question,) = await report.questions(conn, run)
        await approving.decide(conn, question["approval"], yes=True)
    dice, original = random.Random(f"{place} 17"), await ground.found(run)
    claimed = await ground.claim(run)
    context = ground.context(claimed, number)
    for column in ("message",) * 40 + ("destination",) * 15 + ("kind",) * 2 + ("request_hash",) * 5:
        before = await mutated(ground, run, column, one_byte_off(dice, original, column))
        forged = await ground.found(run)
        with pytest.raises(errors.Tampered, match="Nothing was sent"):
            await outward.act(context, forged, ground.carrier(context, original.kind))
        await mutated(ground, run, column, before[column])
    assert await ground.found(run) == original
    assert not ground.truth.arrivals[number]
    told = lives.Script(number, "unsafe", "", (), (), 0.0, leaves=False)
    await lives.to_the_end(ground, run, told, lives.Seen())
    check_sent(ground.truth, number, await ground.found(run), question["request_hash"])


async def test_bytes_that_changed_together_with_their_hash_are_refused(ground: grounds.Ground) -> None:
    run, number = await asked(ground, "document", "7 EUR")
    async with ground.database.api() as conn:
        (question,) = await report.questions(conn, run)
        await approving.decide(conn, question["approval"], yes=True)
    effect = await ground.found(run)
    forged = (effect.message or b"").replace(b"7 EUR", b"9 EUR")
    await mutated(ground, run, "message", forged)
    await mutated(ground, run, "request_hash", compose.digest(effect.kind, effect.destination, forged))
    told = lives.Script(number, "unsafe", "", (), (), 0.0, leaves=False)
    await lives.to_the_end(ground, run, told, lives.Seen())
    assert not ground.truth.bytes_done[number]
