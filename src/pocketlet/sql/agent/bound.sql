-- What a run sees whose task is somebody's mail: {bound} reads through views in {own}, which stand before {schema} in its
-- path, and has no right to what is under them. Whose rows a session sees stands in pocketlet.scope, under its process
-- and login; a session that is not there sees no row. The core's views are in `queries/bounds.sql`, for [reads] opens
-- some; those of the app's own tables belong to the app, so that they can show no more than it may read itself.
GRANT USAGE ON SCHEMA {own}, {schema} TO {bound};
GRANT USAGE, CREATE ON SCHEMA {own} TO {app};

CREATE FUNCTION {own}.entity_now() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$ SELECT nullif(lower(entity COLLATE "C"), '') FROM pocketlet.scope WHERE pid = pg_backend_pid() AND login = session_user $$;
COMMENT ON FUNCTION {own}.entity_now() IS 'Whose rows this session shows. Of ASCII letters the case is none; a+b@ and a@ are two.';
CREATE FUNCTION {own}.memory_version() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$ SELECT coalesce(s.version, a.memory_version) FROM pocketlet.scope s, pocketlet.agent a
         WHERE s.pid = pg_backend_pid() AND s.login = session_user AND a.name = {agent} $$;
COMMENT ON FUNCTION {own}.memory_version() IS 'The version of the memory that this session shows.';
REVOKE EXECUTE ON FUNCTION {own}.entity_now(), {own}.memory_version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {own}.entity_now(), {own}.memory_version() TO {bound};
CREATE VIEW {own}.memory_version AS SELECT {own}.memory_version() AS version;
GRANT SELECT ON {own}.memory_version TO {bound};

-- Here too, so that nothing that the app makes can stand before it.
CREATE VIEW {own}.lessons WITH (security_barrier) AS SELECT * FROM {schema}.lessons;
GRANT SELECT ON {own}.lessons TO {bound};
