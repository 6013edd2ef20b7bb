-- memories_own --
-- The correspondent's rows, those that ended after the version among them: as they were seen
CREATE OR REPLACE VIEW {own}.memories WITH (security_barrier) AS
  SELECT * FROM {schema}.memories
   WHERE lower(entity COLLATE "C") = (SELECT {own}.entity_now()) AND v_from <= (SELECT {own}.memory_version())
  UNION ALL
  SELECT id, kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step, origin_ref,
         valid_from, NULL, deleted_at, v_from, NULL, tsv
    FROM {schema}.memories_before
   WHERE lower(entity COLLATE "C") = (SELECT {own}.entity_now())
     AND v_from <= (SELECT {own}.memory_version()) AND v_to > (SELECT {own}.memory_version());

-- memories_all --
-- By the owner's grant
CREATE OR REPLACE VIEW {own}.memories WITH (security_barrier) AS
  SELECT * FROM {schema}.memories WHERE v_from <= (SELECT {own}.memory_version())
  UNION ALL
  SELECT id, kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step, origin_ref,
         valid_from, NULL, deleted_at, v_from, NULL, tsv
    FROM {schema}.memories_before WHERE v_from <= (SELECT {own}.memory_version()) AND v_to > (SELECT {own}.memory_version());

-- results_own --
CREATE OR REPLACE VIEW {own}.results WITH (security_barrier) AS
  SELECT * FROM {schema}.results
   WHERE lower(entity COLLATE "C") = (SELECT {own}.entity_now()) AND v_from <= (SELECT {own}.memory_version());

-- results_all --
CREATE OR REPLACE VIEW {own}.results WITH (security_barrier) AS
  SELECT * FROM {schema}.results WHERE v_from <= (SELECT {own}.memory_version());

-- runs_own --
-- A result says what a run did for somebody
CREATE OR REPLACE VIEW {own}.runs WITH (security_barrier) AS
  SELECT r.id, r.kind, r.state, r.outcome, r.result, r.facts, r.revision, r.created_at, r.ended_at
    FROM pocketlet.run r
   WHERE r.agent_id = (SELECT a.id FROM pocketlet.agent a WHERE a.name = {agent})
     AND lower((r.input->>'sender') COLLATE "C") = (SELECT {own}.entity_now());

-- runs_all --
CREATE OR REPLACE VIEW {own}.runs WITH (security_barrier) AS SELECT * FROM {schema}.runs;

-- feedback_own --
-- And a comment what the owner thinks of that
CREATE OR REPLACE VIEW {own}.feedback WITH (security_barrier) AS
  SELECT f.id, f.run_id AS run, f.verdict, f.comment, f.outcome, f.at
    FROM pocketlet.feedback f JOIN pocketlet.run r ON r.id = f.run_id
   WHERE r.agent_id = (SELECT a.id FROM pocketlet.agent a WHERE a.name = {agent})
     AND lower((r.input->>'sender') COLLATE "C") = (SELECT {own}.entity_now());

-- feedback_all --
CREATE OR REPLACE VIEW {own}.feedback WITH (security_barrier) AS SELECT * FROM {schema}.feedback;

-- forget --
-- The views that there are follow no revision
UPDATE pocketlet.bound SET revision = 0, digest = ''
 WHERE agent_id = (SELECT a.id FROM pocketlet.agent a WHERE a.name = %(agent)s);

-- show_core --
GRANT SELECT ON {own}.memories, {own}.results, {own}.runs, {own}.feedback TO {bound};

-- relations --
-- What the app made: tables and views, their columns by name, and the columns of text among them
SELECT c.oid::bigint AS oid, c.relname AS name, c.relkind IN ('r', 'p') AS is_table,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       coalesce(array_agg(a.attname::text) FILTER (WHERE t.typname IN ('text', 'varchar', 'bpchar')), '{}') AS texts
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
   AND pg_catalog.pg_get_userbyid(c.relowner) = SESSION_USER
 GROUP BY c.oid, c.relname, c.relkind ORDER BY c.relname;

-- keys --
-- References of one column: from which table and column to which
SELECT c.relname AS "from", a.attname AS "column", f.relname AS "to", b.attname AS key
  FROM pg_catalog.pg_constraint k
  JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
  JOIN pg_catalog.pg_attribute b ON b.attrelid = f.oid AND b.attnum = k.confkey[1]
 WHERE k.contype = 'f' AND n.nspname = %(schema)s AND f.relnamespace = n.oid AND pg_catalog.cardinality(k.conkey) = 1
 ORDER BY 1, 2, 3, 4;

-- views --
-- The bound views that there are of the app's own tables
SELECT c.relname AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(own)s AND c.relkind = 'v' AND pg_catalog.pg_get_userbyid(c.relowner) = SESSION_USER;

-- drop --
DROP VIEW {own}.{table} CASCADE;

-- close --
REVOKE ALL ON {schema}.{table} FROM {bound};

-- share --
GRANT SELECT ON {schema}.{table} TO {bound};

-- show --
GRANT SELECT ON {own}.{table} TO {bound};

-- own_rows --
CREATE VIEW {own}.{table} WITH (security_barrier) AS SELECT {columns} FROM {schema}.{table} t WHERE {is_own};

-- all_rows --
CREATE VIEW {own}.{table} WITH (security_barrier) AS SELECT {columns} FROM {schema}.{table} t;

-- by_address --
lower(t.{column} COLLATE "C") = (SELECT {own}.entity_now())

-- by_reference --
t.{column} IN (SELECT k.{key} FROM {schema}.{through} k WHERE lower(k.{address} COLLATE "C") = (SELECT {own}.entity_now()))

-- column --
t.{column}

-- hidden_column --
CASE WHEN {is_own} THEN t.{column} END AS {column}

-- index --
CREATE INDEX IF NOT EXISTS {index} ON {schema}.{table} (lower({column} COLLATE "C"));
