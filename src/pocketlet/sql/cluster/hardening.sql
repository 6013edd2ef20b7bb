-- What every role can do by default in Postgres and no app or run should: needs a superuser, once for each version.
-- Groups: pd_app (apps' own logins), pd_reader (run and console logins: SELECT only), the platform's logins.
-- Loops over the catalogue instead of lists of signatures, so that Postgres 15 to 18 get the same treatment; what
-- initdb gave to PUBLIC is read from pg_init_privs, so that nothing is handed out that a superuser kept.
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO pd_app, pd_platform, pd_admin;

-- The databases that every cluster has are nobody's to enter.
DO $$
DECLARE
  d record;
BEGIN
  FOR d IN SELECT datname FROM pg_database WHERE datname IN ('postgres', 'template1') LOOP
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', d.datname);
  END LOOP;
END $$;

DO $$
DECLARE
  f record;
  platform constant text := 'pd_platform, pd_api, pd_admin, pd_watch';
BEGIN
  FOR f IN
    SELECT p.oid::regprocedure AS sig,
           CASE
             WHEN p.proname ~ '^(lo_|loread$|lowrite$)' OR p.proname ~ '_to_xml' OR p.proname IN
               ('ts_stat', 'pg_logical_emit_message', 'pg_export_snapshot', 'currtid2') THEN 'nobody'
             -- What others are doing, how much they have, and the text of what they wrote.
             WHEN p.proname ~ '^pg_((try_)?advisory_|stat_get_|control_|show_replication|get_replication)'
               OR p.proname ~ '^pg_get_(function|view|rule|trigger)(def|_sqlbody)$' OR p.proname IN
               ('pg_lock_status', 'pg_prepared_xact',
                'pg_blocking_pids', 'pg_safe_snapshot_blocking_pids') THEN 'platform'
             -- For readers to work with values, and for information_schema to tell them what they may read.
             WHEN p.proname ~ '^pg_(lsn|input_|size_|timezone_|column_(size|compression|is_updatable)$|.*_is_visible$)'
               OR p.proname IN ('pg_typeof', 'pg_collation_for', 'pg_client_encoding', 'pg_encoding_to_char',
                'pg_char_to_encoding', 'pg_has_role', 'pg_get_expr', 'pg_is_other_temp_schema', 'pg_my_temp_schema',
                'pg_options_to_table', 'pg_relation_is_updatable') THEN NULL
             WHEN p.proname ~ '^(pg_|txid_)' OR p.proname IN
               ('set_config', 'ts_rewrite', 'nextval', 'setval', 'currval', 'lastval', 'obj_description',
                'shobj_description', 'col_description', 'row_security_active') THEN 'app'
           END AS for_whom
      FROM pg_proc p
     WHERE p.pronamespace = 'pg_catalog'::regnamespace
       AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid
                          AND NOT EXISTS (SELECT FROM aclexplode(i.initprivs) a WHERE a.grantee = 0))
  LOOP
    CONTINUE WHEN f.for_whom IS NULL;
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC, pd_app', f.sig);
    IF f.for_whom IN ('platform', 'app') THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', f.sig, platform);
    END IF;
    IF f.for_whom = 'app' THEN
      EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pd_app', f.sig);
    END IF;
  END LOOP;
END $$;

-- The catalogue: the platform reads all, apps what object mappers need, readers nothing.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT c.oid::regclass AS name, c.relname::text AS relname
      FROM pg_class c
      JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0
     WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind IN ('r', 'v')
       AND EXISTS (SELECT FROM aclexplode(i.initprivs) a WHERE a.grantee = 0 AND a.privilege_type = 'SELECT')
  LOOP
    EXECUTE format('REVOKE SELECT ON %s FROM PUBLIC, pd_app', t.name);
    EXECUTE format('GRANT SELECT ON %s TO pd_platform, pd_api, pd_admin, pd_watch', t.name);
    CONTINUE WHEN t.relname ~ '^pg_(stat|statio)' OR t.relname IN
      ('pg_locks', 'pg_db_role_setting', 'pg_prepared_xacts', 'pg_largeobject_metadata', 'pg_proc', 'pg_rewrite',
       'pg_views', 'pg_rules', 'pg_settings', 'pg_roles', 'pg_user', 'pg_shadow', 'pg_authid', 'pg_auth_members');
    EXECUTE format('GRANT SELECT ON %s TO pd_app', t.name);
  END LOOP;
END $$;
REVOKE SELECT ON pg_subscription FROM PUBLIC;  -- it is given by column
-- Function bodies and settings stay the platform's; the rest of pg_proc is what drivers and mappers look up.
GRANT SELECT (oid, proname, pronamespace, proowner, prolang, prokind, prosecdef, proleakproof, proisstrict, proretset,
  provolatile, proparallel, pronargs, pronargdefaults, prorettype, proargtypes, proallargtypes, proargmodes,
  proargnames) ON pg_proc TO pd_app;
GRANT SELECT (oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
  rolbypassrls, rolconnlimit) ON pg_roles TO pd_app;
