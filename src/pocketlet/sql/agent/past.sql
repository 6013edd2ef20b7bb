-- Memory as it was, for trials: {trial} reads `memories` and `results` through these views and has no right to the
-- tables; {past} stands before {schema} in its path. Which version a session sees stands in pocketlet.past, under its
-- process; a session that is not there sees no row. All else ({schema}'s views, the app's own tables) is as of now.
GRANT USAGE ON SCHEMA {past}, {schema} TO {trial};

CREATE FUNCTION {past}.memory_version() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp
  AS $$ SELECT version FROM pocketlet.past WHERE pid = pg_backend_pid() $$;
COMMENT ON FUNCTION {past}.memory_version() IS 'The version of the memory that this session shows.';
REVOKE EXECUTE ON FUNCTION {past}.memory_version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {past}.memory_version() TO {trial};
CREATE VIEW {past}.memory_version AS SELECT {past}.memory_version() AS version;
GRANT SELECT ON {past}.memory_version TO {trial};

-- A row that was superseded later had not ended then: a reader of that version saw it without v_to and valid_to.
CREATE VIEW {past}.memories WITH (security_barrier) AS
  SELECT * FROM {schema}.memories WHERE v_from <= (SELECT {past}.memory_version())
  UNION ALL
  SELECT id, kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step, origin_ref,
         valid_from, NULL, deleted_at, v_from, NULL, tsv
    FROM {schema}.memories_before WHERE v_from <= (SELECT {past}.memory_version()) AND v_to > (SELECT {past}.memory_version());
CREATE VIEW {past}.results WITH (security_barrier) AS
  SELECT * FROM {schema}.results WHERE v_from <= (SELECT {past}.memory_version());

GRANT SELECT ON {past}.memories, {past}.results, {schema}.lessons, {schema}.runs, {schema}.feedback TO {trial};
