"""Checks of an installation, each with a name, what was found, and what to do about it. Nothing is changed."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass

from pocketlet import clock, errors, settings
from pocketlet.db import migrate, pool, queries
from pocketlet.platform import audit, breaker, cluster_home, database, leases, server, vault

Q = queries.load("doctor")
DRIFTED = queries.load("watchdog")["drifted"]
LOW_DISK = 512 * 2**20  # bytes
SKEW = 2.0  # seconds
NAMED = 5
REPORT = "This must not happen: please report it."


@dataclass(frozen=True, slots=True)
class Check:
    """`state`: ok, warning (worth knowing) or red (wrong)."""

    name: str
    state: str
    found: str
    advice: str = ""


#: Check, block of `queries/doctor.sql` whose rows are what is wrong, and what to do.
ROWS = (
    ("running runs have a worker", "lost_runs", "Start `pocketlet up`: it takes them up where they stopped."),
    ("waiting runs have a question", "mute_runs", "`pocketlet stop RUN`, then `pocketlet retry RUN`."),
    ("queued runs have a job", "jobless_runs", "`pocketlet stop RUN`, then `pocketlet retry RUN`."),
    ("runs end by their deadline", "overdue_runs", "Start `pocketlet up`: it ends them."),
    ("due slots are begun", "unbegun_slots", "Start `pocketlet up`; `pocketlet slot list` tells why they wait."),
    ("slots end with their runs", "unsettled_slots", "Start `pocketlet up`: it settles them."),
    ("failed slots were told of", "untold_slots", REPORT),
    ("steps are numbered without a gap", "step_gaps", REPORT),
    ("effects on their way have a worker", "lost_effects", "`pocketlet retry RUN`: it looks before it sends again."),
    ("effects of unknown end have a question", "mute_effects", "`pocketlet retry RUN` asks."),
    ("approvals match what they allow", "changed_requests", "Refuse them. " + REPORT),
    ("budgets agree with the ledger", "wrong_budgets", REPORT),
    ("no call cost more than its worst case", "beyond_worst_case", "Correct `price` in agent.toml."),
    ("current revisions were decided on", "undecided", "`pocketlet rollback AGENT` to one that was."),
    ("functions with their owner's rights are pinned", "loose_definers", "ALTER FUNCTION … SET search_path."),
    ("no app object belongs to a superuser", "superuser_objects", "Give it to the app: ALTER … OWNER TO."),
    ("apps' roles are ordinary ones", "strong_roles", "ALTER ROLE … NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS."),
    ("agents have their logins", "missing_roles", "Export the agent, remove it, and import it again."),
    ("no app may write control tables", "control_writers", "REVOKE the right."),
)  # fmt: skip


async def examine(config: settings.Settings) -> list[Check]:
    """All checks; the embedded Postgres is started for them if need be. What can't be checked is red."""
    checks = [*_files(config), _orphans()]
    try:
        async with database.opened(config) as opened:
            checks += await _inside(opened, config)
    except errors.PocketletError as error:
        hint = "" if error.hint == errors.NoPostgres.default_hint else error.hint
        advice = hint or "Check that it runs, and POCKETLET_DATABASE_URL."
        checks.append(Check("postgres", "red", str(error), advice))
    return checks


def _files(config: settings.Settings) -> list[Check]:
    return [_key_file(config), *([] if config.database_url else [_disk(config)])]


def _key_file(config: settings.Settings) -> Check:
    name, path = "the key file is yours alone", config.home / "key"
    if not path.exists():
        return Check(name, "ok", "none yet; made at first use")
    mode = stat.S_IMODE(path.stat().st_mode)
    state = "ok" if mode & 0o077 == 0 else "red"
    return Check(name, state, f"{path} has mode {mode:04o}", f"chmod 600 {path}")


def _disk(config: settings.Settings) -> Check:
    name = "there is disk space"
    try:
        free = server.status(config.home).disk_free
    except errors.PocketletError as error:
        return Check(name, "red", str(error), error.hint)
    state = "ok" if free >= LOW_DISK else "red"
    return Check(name, state, f"{free // 2**20} MB are free", "Free some space; Postgres stops when there is none.")


def _orphans() -> Check:
    found = [str(folder) for folder in cluster_home.orphans()]
    name, advice = "no data without a home", "Bring the home back, or delete the folder if you don't need its data."
    return Check(name, "warning" if found else "ok", _named(found), advice)


async def _inside(opened: pool.Database, config: settings.Settings) -> list[Check]:
    version = opened.server_version
    checks = [Check("postgres", "ok", f"version {version}, {'by URL' if config.database_url else 'embedded'}")]
    applied = await migrate.ready(opened)
    advice = "Use the version of Pocketlet that made this database."
    checks.append(
        Check(
            "migrations are applied",
            "ok" if applied else "red",
            "all" if applied else "not those of this version",
            advice,
        )
    )
    async with opened.api() as conn:
        checks.append(await _skew(conn))
        checks.append(await _vault(conn, config))
        checks.append(await _breaker(conn))
        checks.append(await _audit(conn))
        checks += [await _rows(conn, *row) for row in ROWS]
        checks.append(await _hardening(conn, config))
    checks.append(await _drift(opened))
    return checks


async def _skew(conn: pool.Conn) -> Check:
    row = await (await conn.execute(Q["clock"])).fetchone()
    skew = abs((row["now"] - clock.now()).total_seconds()) if row else SKEW * 2
    state = "ok" if skew <= SKEW else "red"
    return Check("the clocks agree", state, f"{skew:.1f} s apart", "Synchronise both machines' clocks (NTP).")


async def _vault(conn: pool.Conn, config: settings.Settings) -> Check:
    name = "secrets can be opened"
    if not (names := await vault.names(conn)):
        return Check(name, "ok", "there are none")
    try:
        await vault.opened(conn, found := vault.key(config.home))
    except errors.Failed as error:
        return Check(name, "red", str(error), error.hint)
    if len(found) > vault.KEY_BYTES:
        return Check(name, "warning", "a change of their key was cut short", "`pocketlet secret rekey`, once more.")
    return Check(name, "ok", f"{len(names)}")


async def _breaker(conn: pool.Conn) -> Check:
    name, found = "models are asked", await breaker.state(conn)
    if found.until is None:
        return Check(name, "ok", "yes" if not found.failures else f"yes; calls that failed in a row: {found.failures}")
    said = f"none until {found.until:%H:%M:%S} UTC: {found.failures} calls in a row failed, the last one: {found.why}"
    return Check(name, "warning", said, errors.ModelPaused.default_hint)


async def _audit(conn: pool.Conn) -> Check:
    found = await audit.verify(conn)
    said = f"{found.rows} rows" if found.broken is None else f"row {found.broken}: {found.why}"
    advice = "`pocketlet audit verify --anchor FILE` says since when; restore a backup."
    return Check("the audit chain is whole", "ok" if found.broken is None else "red", said, advice)


async def _rows(conn: pool.Conn, name: str, query: str, advice: str) -> Check:
    rows = await (await conn.execute(Q[query], {"dead_after": leases.DEAD_AFTER})).fetchall()
    return Check(name, "red" if rows else "ok", _named([row["what"] for row in rows]), advice)


async def _hardening(conn: pool.Conn, config: settings.Settings) -> Check:
    """A managed Postgres gives nobody the right to put all of it in force: there it is a warning."""
    rows = await (await conn.execute(Q["soft_spots"])).fetchall()
    missing = "warning" if config.database_url else "red"
    advice = "Connect POCKETLET_DATABASE_URL as a superuser once, or use the embedded Postgres."
    return Check("the hardening is in force", missing if rows else "ok", _named([row["what"] for row in rows]), advice)


async def _drift(opened: pool.Database) -> Check:
    async with opened.login("pd_watch") as conn:
        rows = await (await conn.execute(DRIFTED)).fetchall()
    found = [role for row in rows for role in row["roles"]]
    return Check("roles have their settings", "red" if found else "ok", _named(found), "`pocketlet up` puts them back.")


def _named(found: Sequence[str]) -> str:
    if not found:
        return "none amiss"
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more
