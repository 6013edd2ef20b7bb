"""What the catalogue must not contain, on both versions, with apps installed and after they are gone."""

import pytest

from pocketlet.db import pool
from pocketlet.platform import apps

NONE = {
    "definer functions that do not pin their path": """
        SELECT p.oid::regprocedure FROM pg_proc p WHERE p.prosecdef AND p.proowner <> 'mallory'::regrole
           AND NOT EXISTS (SELECT FROM unnest(coalesce(p.proconfig, '{}')) c WHERE c LIKE 'search_path=%pg_temp')""",
    "functions of ours that do not pin their path": """
        SELECT p.oid::regprocedure FROM pg_proc p WHERE p.proowner = 'pd_platform'::regrole
           AND NOT EXISTS (SELECT FROM unnest(coalesce(p.proconfig, '{}')) c WHERE c LIKE 'search_path=%pg_temp')""",
    "functions of ours that anybody may call": """
        SELECT p.oid::regprocedure FROM pg_proc p
         WHERE (p.pronamespace IN ('pocketlet'::regnamespace, 'queue'::regnamespace)
                OR p.pronamespace::regnamespace::text ~ '^(mallory|alice)' AND p.proowner = 'pd_platform'::regrole)
           AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                        WHERE a.grantee = 0)""",
    "objects of a superuser in an app's schema": """
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
         WHERE r.rolsuper AND c.relnamespace::regnamespace::text ~ '^(mallory|alice)'
        UNION ALL
        SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
         WHERE r.rolsuper AND p.pronamespace::regnamespace::text ~ '^(mallory|alice)'""",
    "roles with more than they should have": """
        SELECT rolname FROM pg_roles
         WHERE (rolsuper AND rolname <> 'postgres') OR (rolbypassrls AND rolname <> 'postgres')
            OR (rolcreaterole AND rolname NOT IN ('postgres', 'pd_admin'))
            OR (rolreplication AND rolname <> 'postgres') OR (rolcreatedb AND rolname <> 'postgres')""",
    "logins of ours without a limit of connections that belong to an app": """
        SELECT r.rolname FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid AND NOT m.admin_option
         WHERE m.roleid IN ('pd_app'::regrole, 'pd_reader'::regrole) AND (r.rolconnlimit < 1 OR NOT r.rolcanlogin)""",
    "the group of groups logs in": """
        SELECT rolname FROM pg_roles WHERE rolname IN ('pd_platform', 'pd_app', 'pd_reader') AND rolcanlogin""",
    "apps that are members of anything but pd_app": """
        SELECT m.member::regrole, m.roleid::regrole FROM pg_auth_members m JOIN pg_namespace n
          ON m.member = to_regrole(quote_ident(n.nspname)) AND n.nspname IN ('mallory', 'alice')
         WHERE m.roleid <> 'pd_app'::regrole""",
    "who inherits from an app": """
        SELECT m.member::regrole FROM pg_auth_members m
         WHERE m.roleid IN ('mallory'::regrole, 'mallory_ro'::regrole, 'mallory_mgr'::regrole, 'mallory_try'::regrole,
                            'mallory_bnd'::regrole)
           AND coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, true)""",
    "rights on the control schema": """
        SELECT n.nspname, a.grantee::regrole FROM pg_namespace n, aclexplode(n.nspacl) a
         WHERE n.nspname IN ('pocketlet', 'migrations', 'queue')
           AND a.grantee NOT IN ('pd_api'::regrole, 'pd_admin'::regrole, n.nspowner)
           AND a.grantee NOT IN (SELECT oid FROM pg_roles WHERE rolsuper)""",
    "schemas that an app owns": """
        SELECT nspname FROM pg_namespace
         WHERE nspname ~ '^(mallory|alice)' AND nspowner <> 'pd_platform'::regrole""",
    "code of the app on core tables": """
        SELECT c.oid::regclass FROM pg_class c
         WHERE c.relowner = 'pd_platform'::regrole
           AND c.relnamespace::regnamespace::text ~ '^(mallory|alice)'
           AND (c.relhastriggers OR c.relrowsecurity OR (c.relhasrules AND c.relkind = 'r'))""",
    "what PUBLIC may do in this database": """
        SELECT a.privilege_type FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
         WHERE a.grantee = 0 AND d.datname IN (current_database(), 'postgres', 'template1')
        UNION ALL
        SELECT a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = 0 AND n.nspname = 'public'
        UNION ALL
        SELECT l.lanname FROM pg_language l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) a
         WHERE a.grantee = 0 AND l.lanname = 'plpgsql'""",
    "functions that only a superuser's roles may call, given to apps": """
        SELECT p.oid::regprocedure FROM pg_proc p
          JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid,
               aclexplode(p.proacl) a
         WHERE NOT EXISTS (SELECT FROM aclexplode(i.initprivs) b WHERE b.grantee = 0)
           AND (a.grantee = 0 OR a.grantee IN (SELECT oid FROM pg_roles WHERE rolname ~ '^pd_'))""",
    "catalogue that readers see": """
        SELECT c.oid::regclass FROM pg_class c
         WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v')
           AND (has_any_column_privilege('mallory_ro', c.oid, 'SELECT')
                OR has_any_column_privilege('mallory_try', c.oid, 'SELECT')
                OR has_any_column_privilege('mallory_bnd', c.oid, 'SELECT'))""",
}
STATE = """
SELECT (SELECT json_agg(r ORDER BY oid) FROM pg_roles r) AS roles,
       (SELECT json_agg(m ORDER BY roleid, member) FROM pg_auth_members m) AS memberships,
       (SELECT json_agg(s ORDER BY setdatabase, setrole) FROM pg_db_role_setting s) AS settings,
       (SELECT json_agg(d ORDER BY oid) FROM pg_default_acl d) AS defaults,
       (SELECT json_agg(n ORDER BY oid) FROM pg_namespace n WHERE nspname !~ '^pg_(toast_)?temp') AS schemas,
       (SELECT json_agg(d.datacl ORDER BY oid) FROM pg_database d) AS databases,
       (SELECT count(*) FROM pg_class) AS relations, (SELECT count(*) FROM pg_shdepend) AS dependencies
"""


@pytest.mark.parametrize("what", NONE)
async def test_there_are_none(arena: pool.Database, what: str) -> None:
    async with arena.setup() as conn:
        assert await (await conn.execute(NONE[what].encode())).fetchall() == []


async def test_install_and_uninstall_leave_no_trace(opened: pool.Database) -> None:
    async with opened.setup() as conn:
        before = await (await conn.execute(STATE)).fetchall()
        for _ in range(2):
            await apps.install(opened, "passing")
            await apps.uninstall(opened, "passing")
        assert await (await conn.execute(STATE)).fetchall() == before


@pytest.mark.parametrize("view", ["tables", "schemata", "table_constraints", "key_column_usage"])
async def test_readers_learn_of_their_own_tables(arena: pool.Database, view: str) -> None:
    async with arena.login("mallory_ro") as conn:
        found = await (await conn.execute(f"SELECT * FROM information_schema.{view}".encode())).fetchall()
    schemas = {row.get("table_schema") or row.get("schema_name") for row in found}
    assert schemas - {"pg_catalog", "information_schema"} <= {"mallory", "public"}


async def test_readers_learn_of_their_own_columns(arena: pool.Database) -> None:
    columns = "table_name, column_name, data_type, is_nullable, column_default, ordinal_position"
    async with arena.login("mallory_ro") as conn:
        statement = f"SELECT {columns} FROM information_schema.columns WHERE table_schema = 'mallory'"
        found = await (await conn.execute(statement.encode())).fetchall()
    assert ("memories", "body") in {(row["table_name"], row["column_name"]) for row in found}


async def test_object_mappers_find_what_they_look_for(arena: pool.Database) -> None:
    async with arena.login("mallory") as conn:
        for statement in (
            "SELECT * FROM pg_tables, pg_indexes, pg_sequences LIMIT 1",
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid),"
            " col_description(a.attrelid, a.attnum) FROM pg_attribute a LEFT JOIN pg_attrdef d"
            " ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum) WHERE a.attrelid = 'memories'::regclass",
            "SELECT pg_get_constraintdef(oid), pg_get_indexdef(conindid) FROM pg_constraint"
            " WHERE conrelid = 'memories'::regclass",
            "SELECT proname FROM pg_proc WHERE pronamespace = 'mallory'::regnamespace",
            "SELECT rolname FROM pg_roles WHERE rolname = current_user",
            "SELECT pg_backend_pid(), current_database(), set_config('application_name', 'x', false)",
        ):
            await conn.execute(statement.encode())
