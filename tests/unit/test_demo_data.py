"""The demo's data and mails: made from a seed, complete, and consistent with each other."""

import csv
import email
import mailbox
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from email import policy
from pathlib import Path

import pytest

from pocketlet.demo import data, mails

TODAY = date(2026, 3, 2)
FILES = {"customers": 30, "products": 12, "sales": 120, "messages": 200}


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "data" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "data").iterdir()}


def test_a_seed_decides_every_byte(tmp_path: Path) -> None:
    cast = data.write(tmp_path / "a", seed=7, today=TODAY)
    assert cast == data.write(tmp_path / "b", seed=7, today=TODAY)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert mails.story(cast) == mails.story(cast)
    assert cast != data.write(tmp_path / "c", seed=8, today=TODAY)
    assert all(contents(tmp_path / "a")[f"{n}.csv"] != contents(tmp_path / "c")[f"{n}.csv"] for n in FILES)


@pytest.mark.parametrize("seed", range(20))
def test_the_cast_is_found_in_the_tables(tmp_path: Path, seed: int) -> None:
    cast = data.write(tmp_path, seed=seed, today=TODAY)
    tables = {name: rows(tmp_path, name) for name in FILES}
    assert {name: len(table) for name, table in tables.items()} == FILES
    ids = {row["email"]: row["id"] for row in tables["customers"]}
    products = {row["id"]: row["name"] for row in tables["products"]}
    assert cast.known.name != cast.second.name
    for person in (cast.known, cast.second):
        overdue = [
            row
            for row in tables["sales"]
            if row["customer_id"] == ids[person.address]
            and not row["delivered_on"]
            and date.fromisoformat(row["promised_on"]) < TODAY
        ]
        assert [(row["order_no"], products[row["product_id"]]) for row in overdue] == [
            (person.order_no, person.product)
        ]
        assert overdue[0]["promised_on"] == str(TODAY - timedelta(days=person.days_late))
        assert person.days_late > 7
        assert sum(row["customer_id"] == ids[person.address] for row in tables["messages"]) >= 2
    assert cast.new.address not in ids
    assert any(products[row["product_id"]] == cast.new.product and row["delivered_on"] for row in tables["sales"])


@pytest.mark.parametrize("seed", range(20))
def test_rows_point_at_rows_and_nothing_is_in_the_future(tmp_path: Path, seed: int) -> None:
    data.write(tmp_path, seed=seed, today=TODAY)
    ids = {name: {row["id"] for row in rows(tmp_path, name)} for name in FILES}
    assert len({row["name"] for row in rows(tmp_path, "customers")}) == data.CUSTOMERS
    for row in rows(tmp_path, "sales"):
        assert row["customer_id"] in ids["customers"]
        assert row["product_id"] in ids["products"]
        assert row["sold_at"][:10] < str(TODAY)
        assert row["delivered_on"] <= str(TODAY)
    for row in rows(tmp_path, "messages"):
        assert row["customer_id"] in ids["customers"]
        assert row["at"][:10] < str(TODAY)


def test_the_mails_are_whole(tmp_path: Path) -> None:
    cast = data.write(tmp_path, seed=1, today=TODAY)
    story = mails.story(cast)
    read = [email.message_from_bytes(raw, policy=policy.default) for raw in (story.known, story.new, story.hostile)]
    assert all(mail["To"] == mails.SHOP and mail["Date"] and mail["Message-ID"] for mail in read)
    assert len({mail["Message-ID"] for mail in read}) == 3
    assert cast.known.order_no in read[0].get_content()
    assert cast.new.product in read[1].get_content()
    assert mails.THIEF in read[2].get_content()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    command = [sys.executable, "-m", "pocketlet.demo.sink", "--maildir", str(tmp_path / "Maildir")]
    command += ["--user", "shop", "--password", "secret"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("sink listening on smtp://127.0.0.1:")
        yield tmp_path / "Maildir", int(line.rpartition(":")[2])
        process.terminate()


def test_the_sink_keeps_every_message_before_it_answers(sink: tuple[Path, int]) -> None:
    maildir, port = sink
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            client.sendmail("shop@crm.example", ["ann@example.org"], b"Subject: too soon\r\n\r\n")
        assert refused.value.smtp_code == 530
        client.login("shop", "secret")
        for count in (1, 2):
            client.sendmail(
                "shop@crm.example",
                ["ann@example.org"],
                b"Message-ID: <1@x>\r\nSubject: Re: late\r\n\r\nHi\r\n",
            )
            assert len(mailbox.Maildir(maildir)) == count
    mail = next(iter(mailbox.Maildir(maildir)))
    assert (mail["Delivered-To"], mail["Return-Path"], mail["Subject"]) == (
        "ann@example.org",
        "<shop@crm.example>",
        "Re: late",
    )


def test_the_sink_refuses_a_wrong_password(sink: tuple[Path, int]) -> None:
    with (
        smtplib.SMTP("127.0.0.1", sink[1], timeout=10) as client,
        pytest.raises(smtplib.SMTPAuthenticationError),
    ):
        client.login("shop", "guess")
