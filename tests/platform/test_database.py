"""Opening the database: what a URL says, and one database whoever opens it."""

import pytest

from pocketlet import errors, settings
from pocketlet.db import pool
from pocketlet.platform import database, installation

KEY = bytes(32)


def test_a_url_says_where_and_as_whom() -> None:
    address = database.address_of_url("postgresql://ad%40min:p%2Fw@db.example:6432/pock%20et?sslmode=require", KEY)
    assert (address.host, address.port, address.database) == ("db.example", 6432, "pock et")
    assert (address.setup_user, address.setup_password, address.sslmode) == ("ad@min", "p/w", "require")


def test_a_url_may_name_a_socket_and_leave_the_rest_out() -> None:
    address = database.address_of_url("postgres:///?host=/run/pg", KEY)
    assert (address.host, address.port, address.database) == ("/run/pg", 5432, "pocketlet")
    assert (address.setup_user, address.setup_password, address.sslmode) == ("postgres", None, None)


def test_our_logins_have_passwords_that_follow_from_the_key() -> None:
    one = database.address_of_url("postgresql://x@h/d", KEY)
    other = database.address_of_url("postgresql://x@h/d", bytes(31) + b"1")
    assert one.password("pd_api") == one.password("pd_api")
    assert len({one.password("pd_api"), one.password("pd_admin"), other.password("pd_api")}) == 3


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql://h:port/d", "just words", "http://[::1"])
def test_what_is_no_url_of_a_postgres_is_said(url: str) -> None:
    with pytest.raises(errors.BadSetting, match="POCKETLET_DATABASE_URL"):
        database.address_of_url(url, KEY)


@pytest.mark.parametrize("password", ["hunter2/abc", "hunter2#abc", "hunter2?abc", "1234/abc", "1234#abc"])
def test_a_password_that_breaks_the_url_is_not_told(password: str) -> None:
    with pytest.raises(errors.BadSetting) as caught:
        database.address_of_url(f"postgresql://me:{password}@db.example/d", KEY)
    assert password[:4] not in f"{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__
    assert "%2F" in caught.value.hint


async def test_a_postgres_that_does_not_answer_is_said(config: settings.Settings) -> None:
    nobody = settings.read(
        {"POCKETLET_HOME": str(config.home), "POCKETLET_DATABASE_URL": "postgresql://x@127.0.0.1:1/d"}
    )
    with pytest.raises(errors.NoPostgres):
        async with database.opened(nobody):
            pass


async def test_a_home_has_one_database_whoever_opens_it(db: pool.Database, config: settings.Settings) -> None:
    async with db.api() as conn:
        name = await installation.identity(conn)
    async with database.opened(config, fast=True) as again, again.api() as conn:
        assert await installation.identity(conn) == name


async def test_the_installation_keeps_its_name(db: pool.Database) -> None:
    async with db.api() as conn:
        first = await installation.identity(conn)
    async with db.api() as conn:
        assert await installation.identity(conn) == first
    assert len(first) == 16
