-- lost_runs --
-- Running, says the row, and nobody works on it
SELECT 'run ' || r.id AS what FROM pocketlet.run r LEFT JOIN pocketlet.worker w ON w.id = r.worker_id
 WHERE r.state = 'running'
   AND (w.id IS NULL OR w.heartbeat < pocketlet.now() - make_interval(secs => %(dead_after)s)) ORDER BY r.id;

-- mute_runs --
-- Waiting, with no question open and no job that goes on with it
SELECT 'run ' || r.id AS what FROM pocketlet.run r
 WHERE r.state = 'waiting'
   AND NOT EXISTS (SELECT FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
                    WHERE e.run_id = r.id AND a.state = 'pending')
   AND NOT EXISTS (SELECT FROM queue.procrastinate_jobs j
                    WHERE j.queueing_lock = 'run:' || r.id AND j.status IN ('todo', 'doing')) ORDER BY r.id;

-- jobless_runs --
-- Queued, with no job in the queue
SELECT 'run ' || r.id AS what FROM pocketlet.run r
 WHERE r.state = 'queued'
   AND NOT EXISTS (SELECT FROM queue.procrastinate_jobs j
                    WHERE j.queueing_lock = 'run:' || r.id AND j.status IN ('todo', 'doing')) ORDER BY r.id;

-- overdue_runs --
-- Past the deadline, and not ended; a minute is left to whoever ends them
SELECT 'run ' || r.id AS what FROM pocketlet.run r
 WHERE r.state IN ('queued', 'running') AND r.deadline_at < pocketlet.now() - interval '1 minute' ORDER BY r.id;

-- unbegun_slots --
-- Due for long, and nobody has looked at them since they could begin
SELECT 'slot ' || s.id AS what FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id
 WHERE s.state = 'due' AND t.paused IS NULL AND s.due_at < pocketlet.now() - interval '15 minutes'
   AND coalesce(s.not_before, s.due_at) < pocketlet.now() - interval '5 minutes' ORDER BY s.id;

-- unsettled_slots --
-- Their run is at rest for good, and they are not
SELECT 'slot ' || s.id AS what FROM pocketlet.slot s LEFT JOIN pocketlet.run r ON r.id = s.run_id
 WHERE s.state = 'claimed'
   AND (r.id IS NULL OR (r.state IN ('done', 'failed', 'stopped') AND r.ended_at < pocketlet.now() - interval '1 minute'))
 ORDER BY s.id;

-- untold_slots --
-- They did not do their work, none after them did, and the owner was never told
SELECT 'slot ' || s.id AS what FROM pocketlet.slot s
 WHERE s.state = 'failed'
   AND NOT EXISTS (SELECT FROM pocketlet.slot o JOIN pocketlet.trigger t ON t.id = o.trigger_id AND t.kind = 'schedule'
                    WHERE o.trigger_id = s.trigger_id AND o.state = 'done' AND o.ended_at >= s.ended_at)
   AND NOT EXISTS (SELECT FROM pocketlet.notice n
                    WHERE n.problem = 'trigger:' || s.trigger_id || ':failed'
                      AND (n.resolved_at IS NULL OR n.resolved_at >= s.ended_at)) ORDER BY s.id;

-- step_gaps --
-- Step numbers go from 1 up, without a gap
SELECT 'run ' || s.run_id AS what FROM pocketlet.step s GROUP BY s.run_id HAVING max(s.seq) <> count(*) ORDER BY s.run_id;

-- lost_effects --
-- On its way, says the row, and the run that sends it is nobody's
SELECT 'effect ' || e.id || ' of run ' || r.id AS what
  FROM pocketlet.effect e JOIN pocketlet.run r ON r.id = e.run_id LEFT JOIN pocketlet.worker w ON w.id = r.worker_id
 WHERE e.state = 'dispatching'
   AND (r.state <> 'running' OR w.id IS NULL OR w.heartbeat < pocketlet.now() - make_interval(secs => %(dead_after)s))
 ORDER BY e.id;

-- mute_effects --
-- Nobody knows whether it was sent, and nobody was asked
SELECT 'effect ' || e.id || ' of run ' || e.run_id AS what FROM pocketlet.effect e
 WHERE e.state = 'unknown'
   AND NOT EXISTS (SELECT FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.question = 'send-again') ORDER BY e.id;

-- changed_requests --
-- An answer is bound to the bytes that were asked about
SELECT 'approval ' || a.id AS what FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
 WHERE a.request_hash <> e.request_hash ORDER BY a.id;

-- wrong_budgets --
-- What a budget says was spent and is reserved, against the ledger
WITH booked AS (
  SELECT s.scope, sum(l.cost) AS spent, coalesce(sum(l.reserved) FILTER (WHERE l.state = 'reserved'), 0) AS reserved
    FROM pocketlet.ledger l, unnest(l.scopes) AS s (scope) GROUP BY s.scope
)
SELECT b.scope || ': ' || b.spent || ' spent and ' || b.reserved || ' reserved, the ledger says '
       || coalesce(k.spent, 0) || ' and ' || coalesce(k.reserved, 0) AS what
  FROM pocketlet.budget b LEFT JOIN booked k USING (scope)
 WHERE b.spent <> coalesce(k.spent, 0) OR b.reserved <> coalesce(k.reserved, 0) ORDER BY b.scope;

-- beyond_worst_case --
-- A call that cost more than its worst case
SELECT 'ledger ' || l.id || ' (' || l.model || ')' AS what FROM pocketlet.ledger l
 WHERE l.state = 'settled' AND l.cost > l.reserved ORDER BY l.id;

-- undecided --
-- A current revision that nobody decided on
SELECT a.name || ' revision ' || a.current AS what FROM pocketlet.agent a
 WHERE NOT EXISTS (SELECT FROM pocketlet.decision d
                    WHERE d.agent_id = a.id AND d.revision = a.current AND d.verdict NOT IN ('ask', 'narrow', 'discard')) ORDER BY a.name;

-- loose_definers --
-- Functions with their owner's rights must say where they look names up
SELECT p.oid::regprocedure::text AS what FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c (setting) WHERE c.setting LIKE 'search_path=%%') ORDER BY 1;

-- superuser_objects --
-- Nothing in an app's schemas belongs to a superuser
SELECT n.nspname || '.' || o.name AS what
  FROM (SELECT relnamespace AS space, relname::text AS name, relowner AS owner FROM pg_catalog.pg_class
         UNION ALL SELECT pronamespace, proname::text, proowner FROM pg_catalog.pg_proc
         UNION ALL SELECT oid, '*', nspowner FROM pg_catalog.pg_namespace) AS o
  JOIN pg_catalog.pg_namespace n ON n.oid = o.space
  JOIN pocketlet.agent a ON n.nspname IN (a.name, a.name || '_past', a.name || '_own')
  JOIN pg_catalog.pg_roles r ON r.oid = o.owner AND r.rolsuper ORDER BY 1;

-- strong_roles --
-- What a login of an app must never be
SELECT r.rolname::text AS what FROM pg_catalog.pg_roles r
  JOIN pocketlet.agent a ON r.rolname IN (a.name, a.name || '_ro', a.name || '_mgr', a.name || '_try', a.name || '_bnd')
 WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls ORDER BY 1;

-- missing_roles --
-- Each agent has its logins
SELECT w.role AS what FROM pocketlet.agent a, unnest(ARRAY[a.name, a.name || '_ro', a.name || '_mgr', a.name || '_try', a.name || '_bnd']) AS w (role)
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w.role AND r.rolcanlogin) ORDER BY 1;

-- control_writers --
-- No app may write what the platform keeps
SELECT r.rolname || ' on ' || c.relname AS what
  FROM pg_catalog.pg_roles r JOIN pocketlet.agent a ON r.rolname IN (a.name, a.name || '_ro', a.name || '_mgr', a.name || '_try', a.name || '_bnd')
  JOIN pg_catalog.pg_class c ON c.relnamespace IN ('pocketlet'::regnamespace, 'queue'::regnamespace) AND c.relkind = 'r'
 WHERE pg_catalog.has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') ORDER BY 1;

-- soft_spots --
-- Parts of `cluster/hardening.sql` that are not in force here, as a reader would find them
SELECT p.part AS what FROM (VALUES
    ('readers can write code in PL/pgSQL', pg_catalog.has_language_privilege('pd_reader', 'plpgsql', 'USAGE')),
    ('readers can change settings', pg_catalog.has_function_privilege('pd_reader', 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE')),
    ('readers can sleep', pg_catalog.has_function_privilege('pd_reader', 'pg_catalog.pg_sleep(float8)', 'EXECUTE')),
    ('apps can use large objects', pg_catalog.has_function_privilege('pd_app', 'pg_catalog.lo_create(oid)', 'EXECUTE')),
    ('apps can take advisory locks', pg_catalog.has_function_privilege('pd_app', 'pg_catalog.pg_advisory_lock(bigint)', 'EXECUTE')),
    ('readers can read the catalogue', pg_catalog.has_table_privilege('pd_reader', 'pg_catalog.pg_class', 'SELECT')),
    ('apps can see what others run', pg_catalog.has_table_privilege('pd_app', 'pg_catalog.pg_stat_activity', 'SELECT')),
    ('apps can read function bodies', pg_catalog.has_column_privilege('pd_app', 'pg_catalog.pg_proc', 'prosrc', 'SELECT')),
    ('everybody may enter the database postgres', coalesce((
       SELECT pg_catalog.has_database_privilege('pd_app', d.oid, 'CONNECT') FROM pg_catalog.pg_database d
        WHERE d.datname = 'postgres'), false)),
    ('temporary files are not limited', NOT pg_catalog.has_parameter_privilege('pd_admin', 'temp_file_limit', 'SET'))
  ) AS p (part, open) WHERE p.open;

-- clock --
-- The clock that rows are stamped with
SELECT pocketlet.now() AS now;
