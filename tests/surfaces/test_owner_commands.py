"""`owner`, `token` and `open`: who may look, and with what."""

from command_line import Cli

from pocketlet.db import pool
from pocketlet.platform import owners, queue


async def test_an_owner_comes_gets_a_password_and_goes(cli: Cli, db: pool.Database) -> None:
    assert cli("owner", "add", "ann", "--json").json == {"owner": "ann", "added": True}
    try:
        again = cli("owner", "add", "ann", "--json")
        assert (again.code, again.json["error"]["kind"]) == (6, "Conflict")
        assert cli("owner", "add", "No Name", "--json").code == 2
        short = cli("owner", "password", "ann", "--json", stdin="short\n")
        assert (short.code, short.json["error"]["kind"]) == (2, "BadInput")
        assert cli("owner", "password", "ann", stdin="correct horse battery\n").code == 0
        async with db.api() as conn:
            assert await owners.check_password(conn, "ann", "correct horse battery")
        listed = {one["name"]: one for one in cli("owner", "list", "--json").json["owners"]}
        assert listed["ann"]["has_password"]
        assert not listed["ann"]["keeper"]
        assert listed["owner"]["keeper"]
    finally:
        last = cli("owner", "remove", "ann", "--json")
        gone = cli("owner", "remove", "ann", "--no-login", "--json")
    assert (last.code, last.json["error"]["kind"]) == (6, "Conflict")
    assert "nobody would log in any more" in last.json["error"]["message"]
    assert "pocketlet owner password owner" in last.json["error"]["hint"]
    assert gone.json == {"owner": "ann", "removed": True}
    assert cli("owner", "remove", "ann").code == 6
    kept = cli("owner", "remove", "owner")
    assert (kept.code, "keeps this installation" in kept.err) == (6, True)


async def test_a_token_is_shown_once_and_revoked(cli: Cli, db: pool.Database) -> None:
    made = cli("token", "create", "backup", "--scope", "read", "--scope", "run", "--json").json
    assert made["scopes"] == ["read", "run"]
    async with db.api() as conn:
        known = await owners.of_token(conn, made["secret"])
    assert known
    assert known.scopes == {"read", "run"}
    assert made["secret"] not in cli("token", "list", "--json").out
    assert cli("token", "create", "backup").code == 6
    assert cli("token", "create", "x", "--scope", "everything").code == 2
    assert cli("token", "revoke", made["token"]).code == 0
    assert cli("token", "revoke", made["token"]).code == 6
    async with db.api() as conn:
        assert await owners.of_token(conn, made["secret"]) is None


async def test_an_agent_is_given_to_somebody_who_is_there(cli: Cli, db: pool.Database) -> None:
    nobody = cli("owner", "give", "no_such_agent", "nobody", "--json")
    assert (nobody.code, nobody.json["error"]["kind"]) == (6, "NotFound")
    unknown = cli("owner", "give", "no_such_agent", "owner", "--json")
    assert (unknown.code, unknown.json["error"]["kind"]) == (6, "NotFound")


async def test_open_prints_an_address_that_logs_in_once(cli: Cli, db: pool.Database) -> None:
    shut = cli("open", "--no-browser", "--json")
    assert (shut.code, shut.json["error"]["kind"]) == (6, "NotFound")
    worker = await queue.register(db, "up", queue.Ports(web=8099))
    try:
        url = cli("open", "--no-browser", "--json").json["url"]
    finally:
        await queue.unregister(db, worker)
    base, _, code = url.partition("/login#code=")
    assert base == "http://127.0.0.1:8099"
    async with db.api() as conn:
        assert await owners.use_code(conn, code)
        assert await owners.use_code(conn, code) is None
