"""The commands of channels and of the inbox, as a person and as a program uses them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import outside_http
import owner_ground
import pytest
from scripted_model import finishes, mails
from workshop import CUSTOMER, Workshop, mail

from pocketlet.platform.channels import definitions

SURFACES = Path(__file__).parents[1] / "surfaces"
if str(SURFACES) not in sys.path:
    sys.path.append(str(SURFACES))

if TYPE_CHECKING:
    import command_line

QUIET = ("--quiet", "22:00-07:00", "--zone", "Europe/Berlin")


@pytest.fixture
async def cli(ground: owner_ground.Ground) -> "command_line.Cli":
    import command_line

    unset = ("POCKETLET_DATABASE_URL", "POCKETLET_SMTP_URL", "POCKETLET_URL", "NO_COLOR")
    return command_line.Cli({"POCKETLET_HOME": str(ground.post.home), **dict.fromkeys(unset)})


async def test_a_bot_is_added_tried_shown_and_removed(
    ground: owner_ground.Ground, cli: "command_line.Cli", bot: outside_http.Telegram
) -> None:
    await ground.seal("BOT", outside_http.TOKEN)
    where = ("--chat", outside_http.CHAT, "--token-secret", "BOT", "--base", bot.url, "--pin", "127.0.0.1")
    made = await outside(cli, "channel", "add", "telegram", *where, *QUIET, "--urgent", "approvals", "--json")
    expected = {"channel": "telegram", "quiet": "22:00-07:00", "zone": "Europe/Berlin", "urgent": ["approvals"]}
    assert expected.items() <= made.json.items()
    assert (await outside(cli, "channel", "test", "telegram")).code == 0
    assert bot.texts()[0].startswith("Pocketlet can reach you")
    shown = await outside(cli, "channel", "show", "telegram", "--json")
    assert [row["state"] for row in shown.json["messages"]] == ["succeeded"]
    assert outside_http.TOKEN not in shown.out + made.out
    listed = await outside(cli, "channel", "list")
    assert "22:00-07:00 Europe/Berlin" in listed.out
    bot.faults.append((401, {}))
    failed = await outside(cli, "channel", "test", "telegram", "--json")
    assert (failed.code, failed.json["error"]["kind"]) == (1, "Rejected")
    assert failed.json["error"]["hint"]
    assert (await outside(cli, "channel", "remove", "telegram")).code == 0
    assert (await outside(cli, "channel", "list", "--json")).json == {"channels": []}


async def outside(cli: "command_line.Cli", *arguments: object) -> "command_line.Result":
    """A command while our own loop goes on, as the servers are in it."""
    import asyncio

    return await asyncio.to_thread(cli, *arguments)


async def test_a_second_mail_channel_gets_a_name_of_its_own(
    ground: owner_ground.Ground, cli: "command_line.Cli"
) -> None:
    names = [
        (await outside(cli, "channel", "add", "mail", f"{who}@home.example", "--json")).json["channel"]
        for who in ("ada", "bob")
    ]
    assert names == ["mail", "mail-2"]
    async with ground.database.api() as conn:
        assert {one.address for one in await definitions.everything(conn)} == {"ada@home.example", "bob@home.example"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("mail", "nobody"), 2),
        (("mail", "ada@home.example", "--quiet", "22:00-07:00"), 2),
        (("mail", "ada@home.example", "--about", "everything"), 2),
        (("mail", "ada@home.example", "--about", ""), 2),
        (("mail", "ada@home.example", "--zone", "Mars/Olympus", "--quiet", "1:00-2:00"), 2),
        (("webhook", "http://localhost:1/"), 2),
        (("webhook", "https://hooks.example.com/", "--secret", "NOT_THERE"), 6),
        (("telegram", "--chat", "-100123", "--token-secret", "X"), 2),
        (("telegram",), 2),
    ],
)
async def test_what_can_not_be_used_is_said_with_a_next_step(
    cli: "command_line.Cli", arguments: tuple[str, ...], code: int
) -> None:
    found = await outside(cli, "channel", "add", *arguments, "--json")
    assert (found.code, found.json["ok"]) == (code, False)
    assert found.json["error"]["hint"]


async def test_the_inbox_has_questions_replies_and_notices(
    ground: owner_ground.Ground, shop: Workshop, cli: "command_line.Cli"
) -> None:
    assert "Nothing waits for you" in (await outside(cli, "inbox")).out
    shop.says(mails(CUSTOMER), finishes())
    run = await shop.run(mail())
    for _ in range(3):
        await ground.report(title="The backup\nfailed\u202e.", hint="Look at the disk.")
    channel = await ground.mail()
    await ground.change(
        "INSERT INTO pocketlet.incoming (channel_id, key, state, meaning, words, run_id) "
        "VALUES (%s, 'x', 'unproven', 'unproven', 'Shorter.', %s)",
        channel.id,
        run,
    )
    shown = (await outside(cli, "inbox")).out
    number = (await shop.question(run))["approval"]
    assert f"Approval {number}: {shop.name} asks for send_mail to {CUSTOMER}" in shown
    assert "The backup failed⟨U+202E⟩. (3 times since" in shown
    assert "Next: Look at the disk." in shown
    assert f"about run {run}: Shorter." in shown
    found = (await outside(cli, "inbox", "--json")).json
    [notice], [reply] = found["notices"], found["replies"]
    assert (await outside(cli, "inbox", "dismiss", notice["notice"], "--json")).json["dismissed"]
    assert (await outside(cli, "inbox", "dismiss", notice["notice"])).code == 6
    shop.says(finishes("Nothing.", "no_change"), manager=True)
    assert (await outside(cli, "inbox", "confirm", reply["reply"], "--json")).json["feedback"]
    assert (await outside(cli, "inbox", "ignore", reply["reply"])).code == 6
