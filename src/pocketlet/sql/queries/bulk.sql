-- copy_in --
-- CSV with a header that names the columns
COPY {schema}.{table} ({columns}) FROM STDIN WITH (FORMAT csv, HEADER true);

-- copy_out --
-- The other way
COPY (SELECT {columns} FROM {schema}.{table} ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER true);

-- insert_json --
-- One JSON object; what it does not name gets its default
INSERT INTO {schema}.{table} ({columns}) SELECT {columns} FROM pg_catalog.jsonb_populate_record(NULL::{schema}.{table}, %(row)s);

-- core_rows --
-- A core table without what the import fills in itself
SELECT to_jsonb(t) - 'id' - 'tsv' - 'v_from' - 'v_to' AS row FROM {schema}.{table} t ORDER BY t.id;

-- columns --
-- Columns that can be written
SELECT a.attname AS name
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 ORDER BY a.attnum;

-- counted_columns --
-- Columns that count by a sequence of their own which this login may set
SELECT a.attname AS name, s.sequence
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_serial_sequence(
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), a.attname) AS sequence) s
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attnum > 0 AND NOT a.attisdropped
   AND s.sequence IS NOT NULL AND pg_catalog.pg_get_userbyid(c.relowner) = SESSION_USER;

-- catch_up --
-- The next value follows the highest one
SELECT pg_catalog.setval(%(sequence)s::regclass, m.top) FROM (SELECT max({column}) AS top FROM {schema}.{table}) m WHERE m.top >= 1;

-- references --
-- Which table refers to which
SELECT DISTINCT c.relname AS "from", f.relname AS "to"
  FROM pg_catalog.pg_constraint k
  JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND n.nspname = %(schema)s AND c.oid <> f.oid
   AND c.relname = ANY (%(tables)s) AND f.relname = ANY (%(tables)s);

-- own_tables --
-- What the app itself made
SELECT c.relname AS name
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND pg_catalog.pg_get_userbyid(c.relowner) = SESSION_USER
 ORDER BY c.relname;

-- table_map --
-- Tables and views with their columns; of the core ones only what a query is likely to need
SELECT c.relname AS name,
       string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) AS columns,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       string_agg(a.attname || ': ' || pg_catalog.col_description(c.oid, a.attnum), '; ' ORDER BY a.attnum) AS column_comments
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
   AND NOT (c.relname IN ('memories', 'results') AND a.attname IN
     ('tsv', 'v_from', 'v_to', 'origin_run', 'origin_step', 'origin_ref', 'secrecy', 'author', 'deleted_at', 'valid_from', 'data'))
   AND c.relname NOT IN ('run_log', 'sent', 'memories_before', 'memory_version')
 GROUP BY c.oid, c.relname
 ORDER BY pg_catalog.pg_get_userbyid(c.relowner) <> SESSION_USER, c.relname;
