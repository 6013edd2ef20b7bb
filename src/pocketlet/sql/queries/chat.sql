-- earlier --
-- The conversation before a run: what the owner said, what came of it, and the draft that it led to
SELECT c.said, c.reply, c.state, c.revision, c.standing FROM (
  SELECT r.id, r.input->>'text' AS said, r.result AS reply, r.state, d.n AS revision, d.state AS standing
    FROM pocketlet.run r
    LEFT JOIN LATERAL (SELECT v.n, s.state FROM pocketlet.revision v
                         JOIN pocketlet.revision_state s ON s.agent_id = v.agent_id AND s.n = v.n
                        WHERE v.agent_id = r.agent_id AND v.run_id = r.id ORDER BY v.n DESC LIMIT 1) d ON true
   WHERE r.agent_id = %(agent)s AND r.kind = 'chat' AND r.id < %(run)s AND r.ended_at IS NOT NULL
   ORDER BY r.id DESC LIMIT %(turns)s) c
 ORDER BY c.id;

-- tables --
-- What a login may read, one line each, as in the table map of a briefing
SELECT c.relname || '(' || string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
       || ')' || coalesce(' -- ' || pg_catalog.obj_description(c.oid, 'pg_class'), '') AS line
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') AND c.relname <> 'memory_version'
   AND pg_catalog.has_table_privilege(%(login)s::name, c.oid, 'SELECT')
 GROUP BY c.oid, c.relname ORDER BY c.relname;

-- last --
-- The run of the last turn that ended in a draft
SELECT r.id FROM pocketlet.run r
 WHERE r.agent_id = %(agent)s AND r.kind = 'chat' AND EXISTS (SELECT FROM pocketlet.revision v WHERE v.run_id = r.id)
 ORDER BY r.id DESC LIMIT 1;
