"""Deliveries by a sender that signs with the reference library: each is kept once, and nothing else is."""

import asyncio
import contextlib
import random
from http import client

import hook_ground
import raw_client

from pocketlet.agents.triggers import stored
from pocketlet.platform import vault
from pocketlet.platform.gateways import listener
from pocketlet.surfaces.web import app as web
from pocketlet.surfaces.web import webhooks


async def test_a_signed_delivery_is_kept_byte_for_byte_and_starts_a_run(ground: hook_ground.Ground) -> None:
    body = '{ "order":  "ä 17" }'
    reply = await ground.deliver("msg_1", body)
    [slot] = await ground.slots()
    assert (reply.status, reply.json) == (202, {"slot": slot["id"]})
    assert (bytes(slot["body"]), slot["state"]) == (body.encode(), "claimed")
    [run] = await ground.rows("SELECT label, raw, input FROM pocketlet.run WHERE agent_id = %s")
    assert (run["label"], bytes(run["raw"])) == ("outside", body.encode())
    assert ["webhook-id", "msg_1"] in slot["about"]["headers"]


async def test_a_replay_has_the_same_answer_and_starts_nothing(ground: hook_ground.Ground) -> None:
    first = await ground.deliver("msg_1")
    again = await ground.deliver("msg_1")
    assert (first.status, again.status, again.json) == (202, 200, first.json)
    assert (len(await ground.slots()), await ground.runs()) == (1, 1)


async def test_many_duplicates_on_eight_connections_are_one_run_an_event(ground: hook_ground.Ground) -> None:
    identities = [f"msg_{number}" for number in range(25)] * 16
    random.Random(1).shuffle(identities)
    waiting = iter([(name, await ground.fields(name, name)) for name in identities])
    statuses: list[int] = []

    async def lane() -> None:
        async with raw_client.connected(ground.port) as line:
            for name, fields in waiting:
                statuses.append((await line.ask("POST", ground.path, fields, name.encode())).status)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(8):
            lanes.create_task(lane())
    assert sorted(statuses) == [200] * 375 + [202] * 25
    assert sorted(bytes(slot["body"]).decode() for slot in await ground.slots()) == sorted(set(identities))
    assert await ground.runs() == 25


async def test_what_comes_late_or_early_within_five_minutes_is_taken(ground: hook_ground.Ground) -> None:
    ages = (0, 280, 40, -280, 150)
    assert {(await ground.deliver(f"msg_{age}", age=age)).status for age in ages} == {202}
    assert await ground.runs() == len(ages)


async def test_what_is_stale_is_refused(ground: hook_ground.Ground) -> None:
    for age in (330, -330, 10_000_000):
        reply = await ground.deliver(f"msg_{age}", age=age)
        assert (reply.status, reply.problem) == (400, "stale")
    assert await ground.slots() == []


async def test_what_is_forged_is_refused(ground: hook_ground.Ground) -> None:
    fields = dict(await ground.fields("msg_1", "real"))
    other = dict(await ground.aged(secret=hook_ground.fresh_secret()).fields("msg_1", "real"))
    forged = [
        (fields, b"else"),
        (fields, b"real "),
        (fields | {"webhook-id": "msg_2"}, b"real"),
        (fields | {"webhook-timestamp": str(int(fields["webhook-timestamp"]) + 1)}, b"real"),
        (fields | {"webhook-signature": fields["webhook-signature"].replace("v1,", "v2,")}, b"real"),
        (other, b"real"),
    ]
    for given, body in forged:
        reply = await raw_client.ask(ground.port, "POST", ground.path, given.items(), body)
        assert (reply.status, reply.problem) == (401, "unproven")
    assert await ground.slots() == []


async def test_a_field_that_is_missing_doubled_or_no_field_is_malformed(ground: hook_ground.Ground) -> None:
    good = await ground.fields("msg_1", "x")
    bad = [good[1:], good[:1] + good[2:], good[:2], [*good, good[0]], [*good, good[2]], []]
    changes = {"webhook-id": ("", "a b", "a.1", "ä", "x" * 257)}
    changes |= {"webhook-timestamp": ("now", "-1", "1e9", " ", "1" * 13, "1_0")}
    changes |= {"webhook-signature": ("", "v1", "v1,%%%", "v1,", "v1,YQ== " * 20, ",YQ==")}
    bad += [[pair for pair in good if pair[0] != name] + [(name, value)] for name in changes for value in changes[name]]
    for fields in bad:
        reply = await raw_client.ask(ground.port, "POST", ground.path, fields, b"x")
        assert (reply.status, reply.problem) == (400, "malformed"), fields
    assert await ground.slots() == []


async def test_a_stranger_can_not_tell_which_names_there_are(ground: hook_ground.Ground) -> None:
    fields = await ground.aged(secret=hook_ground.fresh_secret()).fields("msg_1", "x")
    paths = [ground.path, f"/hooks/{ground.agent.name}/none", "/hooks/nobody/orders", "/hooks/%00/%C3%A4", "/hooks/A/B"]
    answers = [await raw_client.ask(ground.port, "POST", path, fields, b"x") for path in paths]
    async with ground.database.api() as conn:
        await vault.revoke(conn, "HOOK", ground.agent.id)
    answers.append(await raw_client.ask(ground.port, "POST", ground.path, fields, b"x"))
    async with ground.database.api() as conn:
        await vault.remove(conn, "HOOK")
    answers.append(await raw_client.ask(ground.port, "POST", ground.path, fields, b"x"))
    assert {(one.status, one.body) for one in answers} == {(401, answers[0].body)}


async def test_a_secret_that_is_not_there_is_told_to_the_owner_until_it_is(ground: hook_ground.Ground) -> None:
    query = "SELECT title, count, resolved_at IS NULL AS open FROM pocketlet.notice WHERE agent_id = %s"
    async with ground.database.api() as conn:
        await vault.revoke(conn, "HOOK", ground.agent.id)
    assert [(await ground.deliver("msg_1")).status for _ in range(3)] == [401] * 3
    [notice] = await ground.rows(query)
    assert (notice["count"], notice["open"]) == (3, True)
    assert "`pocketlet secret grant HOOK AGENT`" in notice["title"]
    async with ground.database.api() as conn:
        await vault.grant(conn, "HOOK", ground.agent.id)
    assert (await ground.deliver("msg_1")).status == 202
    [notice] = await ground.rows(query)
    assert not notice["open"]


async def test_two_secrets_overlap_while_the_sender_changes_its_key(
    db, config, port: int, tmp_path, ground: hook_ground.Ground
) -> None:
    turning = await hook_ground.made(db, config, tmp_path / "turning", "turning", '["NEXT", "HOOK"]')
    turning = turning.aged(port=port)
    try:
        assert (await turning.deliver("msg_0")).status == 202  # the next one is not there yet
        following = hook_ground.fresh_secret()
        await hook_ground.keep(turning, "NEXT", following)
        assert (await turning.deliver("msg_1")).status == 202
        assert (await turning.aged(secret=following).deliver("msg_2")).status == 202
        old, new = (
            (await turning.fields("msg_3", "x"))[2][1],
            (await turning.aged(secret=following).fields("msg_3", "x"))[2][1],
        )
        fields = dict(await turning.fields("msg_3", "x")) | {"webhook-signature": f"v1a,b2xk {new} {old}"}
        assert (await raw_client.ask(port, "POST", turning.path, fields.items(), b"x")).status == 202
        async with db.api() as conn:
            await vault.remove(conn, "HOOK")
        assert (await turning.deliver("msg_4")).status == 401
    finally:
        await hook_ground.removed(turning)


async def test_a_secret_that_is_a_plain_text_counts_as_it_stands(ground: hook_ground.Ground) -> None:
    await hook_ground.keep(ground, "HOOK", "correct horse battery")
    encoded = "whsec_Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"
    assert (await ground.aged(secret=encoded).deliver("msg_1")).status == 202


async def test_a_paused_trigger_keeps_what_comes(ground: hook_ground.Ground) -> None:
    async with ground.database.api() as conn:
        trigger = await stored.by_name(conn, ground.agent.id, "orders")
        await stored.pause(conn, trigger, "for a test")
    assert (await ground.deliver("msg_1")).status == 202
    [slot] = await ground.slots()
    assert (slot["state"], slot["run_id"]) == ("due", None)


async def test_a_trigger_takes_so_many_new_events_and_says_when_it_takes_more(db, config, ground) -> None:
    rate = webhooks.Rate(most=2, seconds=60)
    async with listener.listening(0, lambda port: web.made(db, config, port, rate=rate)) as port:
        slow = ground.aged(port=port)
        assert [(await slow.deliver(f"msg_{n}")).status for n in range(2)] == [202, 202]
        reply = await slow.deliver("msg_2")
        assert (reply.status, reply.problem) == (429, "too-many")
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert (await slow.deliver("msg_1")).status == 200  # what is kept already costs nothing
        assert (await slow.aged(secret=hook_ground.fresh_secret()).deliver("msg_3")).status == 401
    assert len(await ground.slots()) == 2


def test_a_rate_forgets_what_is_long_ago() -> None:
    within, over = webhooks.Rate(most=1, seconds=3600), webhooks.Rate(most=1, seconds=0)
    assert [over.wait(1) for _ in range(3)] == [0, 0, 0]
    assert (within.wait(1), within.wait(2)) == (0, 0)
    assert within.wait(1) > 3500


async def test_a_body_that_is_too_long_is_refused_before_it_was_read(ground: hook_ground.Ground) -> None:
    fields = "".join(f"{name}: {value}\r\n" for name, value in await ground.fields("msg_1", "x"))
    head = f"POST {ground.path} HTTP/1.1\r\nHost: 127.0.0.1:{ground.port}\r\n{fields}"
    async with raw_client.connected(ground.port) as line:
        reply = await line.send(f"{head}Content-Length: 10000000\r\n\r\n".encode())  # and not one byte of the body
        assert (reply.status, reply.problem, reply.headers["connection"]) == (413, "too-large", "close")
    async with raw_client.connected(ground.port) as line:
        line.writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for size in [100_000] * 10 + [1]:
            line.writer.write(f"{size:x}\r\n".encode() + b"x" * size + b"\r\n")  # and no end
        assert (await line.read()).status == 413
    async with raw_client.connected(ground.port) as line:
        reply = await line.send(f"{head}Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n".encode())
        assert reply.status == 413
    assert await ground.slots() == []


async def test_a_sender_of_ten_megabytes_hears_why(ground: hook_ground.Ground) -> None:
    fields = dict(await ground.fields("msg_1", "x"))

    def post() -> int:
        line = client.HTTPConnection("127.0.0.1", ground.port, timeout=30)
        with contextlib.closing(line):
            with contextlib.suppress(ConnectionError):  # the other side has stopped reading
                line.request("POST", ground.path, b"x" * 10_000_000, fields)
            answer = client.HTTPResponse(line.sock)
            answer.begin()
            return answer.status

    assert await asyncio.to_thread(post) == 413
    assert await ground.slots() == []


async def test_a_body_of_just_the_most_is_taken(ground: hook_ground.Ground) -> None:
    assert (await ground.deliver("msg_1", "x" * webhooks.MAX_BYTES)).status == 202
    assert (await ground.deliver("msg_2", "x" * (webhooks.MAX_BYTES + 1))).status == 413
    [slot] = await ground.slots()
    assert len(slot["body"]) == webhooks.MAX_BYTES


async def test_a_sender_that_goes_away_in_the_middle_leaves_nothing(ground: hook_ground.Ground) -> None:
    fields = "".join(f"{name}: {value}\r\n" for name, value in await ground.fields("msg_1", "x" * 50))
    async with raw_client.connected(ground.port) as line:
        head = f"POST {ground.path} HTTP/1.1\r\nHost: 127.0.0.1:{ground.port}\r\n{fields}Content-Length: 50\r\n\r\n"
        line.writer.write(head.encode() + b"x" * 20)
        await line.writer.drain()
    assert (await ground.deliver("msg_2")).status == 202
    assert len(await ground.slots()) == 1


async def test_a_run_that_can_not_be_made_now_leaves_the_event_due(ground: hook_ground.Ground) -> None:
    await ground.change("UPDATE pocketlet.agent SET current = 99 WHERE id = %s")
    reply = await ground.deliver("msg_1")
    [slot] = await ground.slots()
    assert (reply.status, slot["state"], slot["run_id"]) == (202, "due", None)
