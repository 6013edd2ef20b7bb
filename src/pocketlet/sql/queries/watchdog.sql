-- end_sessions --
-- Ends what runs or idles for too long: pd_reader's and pd_app's own members, not who administers the groups
SELECT a.usename AS role, a.pid,
       CASE WHEN a.state = 'active' THEN 'active' ELSE 'idle in transaction' END AS was,
       pg_catalog.pg_terminate_backend(a.pid) AS ended
  FROM pg_catalog.pg_stat_activity a
  JOIN pg_catalog.pg_auth_members m ON m.member = a.usesysid AND NOT m.admin_option
  JOIN (VALUES ('pd_reader', %(reader_active)s::float8, %(reader_idle)s::float8),
               ('pd_app', %(app_active)s::float8, %(app_idle)s::float8)) AS l (members, active, idle)
    ON m.roleid = l.members::regrole
 WHERE a.datname = pg_catalog.current_database()
   AND (a.state = 'active' AND pg_catalog.clock_timestamp() - a.query_start > l.active * interval '1 second'
     OR a.state LIKE 'idle in transaction%%'
        AND pg_catalog.clock_timestamp() - a.state_change > l.idle * interval '1 second');

-- written --
-- Differs from the last time if a setting of any role was written, or a login came or went, since
SELECT (SELECT pg_catalog.sum(xmin::text::bigint) FROM pg_catalog.pg_db_role_setting) AS settings,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_db_role_setting) AS count,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_auth_members) AS members;

-- drifted --
-- Apps of this database of whose roles one has other settings than `agent/settings.sql` gives.
-- temp_file_limit is left out: a role can't change its own, and not every installation may set it.
WITH login AS (
  SELECT r.oid, r.rolname, n.nspname AS app, r.rolname <> n.nspname AS reads
    FROM pg_catalog.pg_namespace n
    JOIN pg_catalog.pg_roles r ON r.rolname IN (n.nspname, n.nspname || '_ro', n.nspname || '_mgr', n.nspname || '_try', n.nspname || '_bnd')
    JOIN pg_catalog.pg_auth_members m ON m.member = r.oid AND NOT m.admin_option
     AND m.roleid = CASE WHEN r.rolname = n.nspname THEN 'pd_app'::regrole ELSE 'pd_reader'::regrole END
   WHERE n.nspowner = 'pd_platform'::regrole
), wanted AS (
  SELECT oid, 'search_path=' || CASE rolname WHEN app || '_try' THEN pg_catalog.quote_ident(app || '_past') || ', '
                   WHEN app || '_bnd' THEN pg_catalog.quote_ident(app || '_own') || ', ' ELSE '' END
              || pg_catalog.quote_ident(app) || ', pg_temp' AS setting FROM login
  UNION ALL SELECT oid, 'idle_in_transaction_session_timeout=' || CASE WHEN reads THEN '5s' ELSE '60s' END FROM login
  UNION ALL SELECT oid, setting FROM login,
    (VALUES ('default_transaction_read_only=on'), ('statement_timeout=5s'), ('work_mem=16MB'), ('jit=off'),
            ('max_parallel_workers_per_gather=0')) AS s (setting) WHERE reads
), actual AS (
  SELECT l.oid, s.setting FROM login l
    JOIN pg_catalog.pg_db_role_setting d ON d.setrole = l.oid AND d.setdatabase = 0,
         pg_catalog.unnest(d.setconfig) AS s (setting) WHERE s.setting !~ '^temp_file_limit='
  UNION ALL
  SELECT l.oid, 'in this database' FROM login l
    JOIN pg_catalog.pg_db_role_setting d ON d.setrole = l.oid
     AND d.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
)
SELECT app, pg_catalog.array_agg(DISTINCT rolname::text ORDER BY rolname::text) AS roles
  FROM login JOIN (
    (SELECT * FROM wanted EXCEPT SELECT * FROM actual) UNION ALL (SELECT * FROM actual EXCEPT SELECT * FROM wanted)
  ) AS difference USING (oid)
 GROUP BY app ORDER BY app;

-- forget_here --
-- What a role has set for itself in this database alone
ALTER ROLE {app} IN DATABASE {database} RESET ALL;
ALTER ROLE {reader} IN DATABASE {database} RESET ALL;
ALTER ROLE {manager} IN DATABASE {database} RESET ALL;
ALTER ROLE {trial} IN DATABASE {database} RESET ALL;
ALTER ROLE {bound} IN DATABASE {database} RESET ALL;
