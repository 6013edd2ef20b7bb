-- relations --
-- What the reader of an agent may read: tables and views with their columns; and the one column that is their key
SELECT c.relname AS name, c.relkind IN ('r', 'p') AS is_table,
       coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') AS comment,
       (SELECT k.attname FROM pg_catalog.pg_index i
          JOIN pg_catalog.pg_attribute k ON k.attrelid = i.indrelid AND k.attnum = i.indkey[0]
         WHERE i.indrelid = c.oid AND i.indisprimary AND i.indnkeyatts = 1) AS key,
       jsonb_agg(jsonb_build_object('name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
                                    'comment', coalesce(pg_catalog.col_description(c.oid, a.attnum), ''))
                 ORDER BY a.attnum) AS columns
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
   AND c.relname NOT IN ('run_log', 'sent', 'memories_before', 'memory_version')
   AND pg_catalog.has_table_privilege(%(reader)s::name, c.oid, 'SELECT')
 GROUP BY c.oid, c.relname, c.relkind
 ORDER BY c.relname NOT IN ('memories', 'results'), c.relname IN ('lessons', 'runs', 'feedback'), c.relname;

-- count --
-- Of one table, in a list of them; a large one is not read to its end
SELECT {columns};

-- count_of --
(SELECT pg_catalog.count(*) FROM (SELECT FROM {schema}.{table} LIMIT 10001) AS counted) AS {table}

-- column --
{column}

-- first_down --
SELECT {columns} FROM {schema}.{table} ORDER BY {key} DESC LIMIT %(limit)s;

-- next_down --
SELECT {columns} FROM {schema}.{table} WHERE {key} < %(after)s ORDER BY {key} DESC LIMIT %(limit)s;

-- first_up --
SELECT {columns} FROM {schema}.{table} ORDER BY {key} LIMIT %(limit)s;

-- next_up --
SELECT {columns} FROM {schema}.{table} WHERE {key} > %(after)s ORDER BY {key} LIMIT %(limit)s;

-- any --
-- Without a key there is no place to go on from
SELECT {columns} FROM {schema}.{table} LIMIT %(limit)s;

-- used --
-- Runs that opened a row, or were shown it by a search; of the last lookups
WITH looked AS MATERIALIZED (
  SELECT s.run_id, s.tool, s.request, s.response #>> '{}' AS response
    FROM pocketlet.step s JOIN pocketlet.run r ON r.id = s.run_id
   WHERE r.agent_id = %(agent)s AND r.kind = 'run' AND s.tool IN ('read', 'search') AND s.error IS NULL
   ORDER BY s.run_id DESC LIMIT 500
)
SELECT w.id, array_agg(DISTINCT looked.run_id) AS runs
  FROM unnest(%(ids)s::bigint[]) AS w(id)
  JOIN looked ON CASE looked.tool
         WHEN 'read' THEN looked.request->>'table' = %(table)s AND looked.request->'id' = to_jsonb(w.id)
         ELSE looked.response ~ (E'(^|\n)' || %(table)s::text || E'\t' || w.id || E'\t') END
 GROUP BY w.id;

-- memory --
-- One memory, whether or not it counts; the run of an imported one was another installation's
SELECT id, kind, entity, at, subject, body, integrity, author, CASE WHEN v_from > 0 THEN origin_run END AS run,
       origin_step AS step, origin_ref AS ref, valid_from AS since, valid_to AS until, v_to IS NULL AS counts
  FROM (TABLE {schema}.memories UNION ALL TABLE {schema}.memories_before) AS every WHERE id = %(id)s;

-- some --
-- Of these memories the newest
SELECT id, kind, entity, at, subject, body, integrity, author, CASE WHEN v_from > 0 THEN origin_run END AS run,
       origin_step AS step, origin_ref AS ref, valid_from AS since, valid_to AS until, true AS counts
  FROM {schema}.memories WHERE id = ANY (%(ids)s) ORDER BY id DESC LIMIT %(limit)s;

-- changes --
-- What counted at one of two times alone
SELECT id, kind, entity, at, subject, body, integrity, author, CASE WHEN v_from > 0 THEN origin_run END AS run,
       origin_step AS step, origin_ref AS ref, valid_from AS since, valid_to AS until, valid_from > %(since)s AS counts
  FROM (TABLE {schema}.memories UNION ALL TABLE {schema}.memories_before) AS every
 WHERE (valid_from > %(since)s AND valid_from <= %(until)s AND (valid_to IS NULL OR valid_to > %(until)s))
    OR (valid_from <= %(since)s AND valid_to > %(since)s AND valid_to <= %(until)s)
 ORDER BY CASE WHEN valid_from > %(since)s THEN valid_from ELSE valid_to END DESC, id DESC LIMIT %(limit)s;

-- saved --
-- The owner's own
SELECT id, name, query, changed_at FROM pocketlet.saved_query
 WHERE owner_id = %(owner)s AND agent_id = %(agent)s ORDER BY lower(name), name;

-- save --
-- Under a name that is taken, in its place
INSERT INTO pocketlet.saved_query (owner_id, agent_id, name, query) VALUES (%(owner)s, %(agent)s, %(name)s, %(query)s)
ON CONFLICT (owner_id, agent_id, name) DO UPDATE SET query = excluded.query, changed_at = pocketlet.now()
RETURNING id, name, query, changed_at;

-- unsave --
DELETE FROM pocketlet.saved_query WHERE id = %(id)s AND owner_id = %(owner)s AND agent_id = %(agent)s;

-- example_results --
-- Examples are shown to owners, and run only once they ask for them
SELECT at, outcome, entity, subject, integrity, author
  FROM results
 ORDER BY at DESC
 LIMIT 20

-- example_person --
SELECT at, kind, subject, body, integrity, author
  FROM memories
 WHERE entity = %(who)s
 ORDER BY at DESC

-- example_outside --
SELECT id, at, entity, subject, integrity
  FROM memories
 WHERE integrity = 'outside'
 ORDER BY at DESC

-- example_feedback --
SELECT id, run, verdict, comment, outcome
  FROM feedback
 ORDER BY id DESC
