-- recorded --
-- The run that the case was made of
SELECT run_id AS run FROM pocketlet.cases WHERE id = %(case)s;

-- version_of --
-- Of a run that read nothing: the version before its result; of one without a result, the current one
SELECT coalesce((SELECT v_from - 1 FROM {schema}.results WHERE run = %(run)s AND v_from > 0), a.memory_version) AS version
  FROM pocketlet.agent a WHERE a.id = %(agent)s;
