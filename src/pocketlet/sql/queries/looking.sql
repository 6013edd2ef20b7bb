-- take --
-- Triggers whose time has come, for this look alone until its lease is over
WITH taken AS (
  SELECT t.id FROM pocketlet.trigger t
   WHERE t.kind = ANY (%(kinds)s) AND t.active AND t.paused IS NULL AND t.next_at <= pocketlet.now()
     AND coalesce(t.lease_until, '-infinity') < pocketlet.now()
   ORDER BY t.next_at, t.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE pocketlet.trigger t SET lease_until = pocketlet.now() + make_interval(secs => %(lease)s), holder = NULL
  FROM taken, pocketlet.agent a WHERE t.id = taken.id AND a.id = t.agent_id
RETURNING t.id, t.agent_id, t.name, t.kind, t.spec, t.paused, t.cursor, t.lease_until, a.name AS agent;

-- hold --
-- Nothing comes back if the lease is over and somebody else looked, or the trigger was changed meanwhile
SELECT cursor FROM pocketlet.trigger
 WHERE id = %(id)s AND active AND lease_until = %(lease)s AND cursor = %(cursor)s FOR UPDATE;

-- seen --
-- With the slots, in one transaction
UPDATE pocketlet.trigger SET cursor = %(cursor)s, failures = 0, lease_until = NULL,
       next_at = pocketlet.now() + make_interval(secs => %(pause)s)
 WHERE id = %(id)s;

-- failed --
-- Looked at again after a pause that is doubled each time
UPDATE pocketlet.trigger SET lease_until = NULL, failures = failures + 1,
       next_at = pocketlet.now() + make_interval(secs => least(greatest(%(every)s, %(most)s), %(every)s * power(2, least(failures, 20))))
 WHERE id = %(id)s AND active AND lease_until = %(lease)s RETURNING failures;

-- watched --
-- What stands on an app's table for one trigger
SELECT g.tgname AS name, g.tgargs AS args FROM pg_catalog.pg_trigger g
 WHERE g.tgrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text)) AND g.tgparentid = 0
   AND g.tgenabled = 'O' AND starts_with(g.tgname, %(prefix)s);

-- left_over --
-- What stands on tables of agents for triggers that count no more
SELECT a.name AS agent, split_part(g.tgname, '_', 3) AS trigger
  FROM pg_catalog.pg_trigger g
  JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid AND f.proname = 'note_change'
  JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace
  JOIN pocketlet.agent a ON n.nspname = a.name || '_own'
 WHERE g.tgparentid = 0 AND g.tgname ~ '^pocketlet_change_[0-9]{1,18}_'
   AND NOT EXISTS (SELECT FROM pocketlet.trigger t WHERE t.agent_id = a.id AND t.kind = 'change' AND t.active
                      AND t.id::text = split_part(g.tgname, '_', 3))
 GROUP BY 1, 2 ORDER BY 1, 2;

-- own_table --
-- Whether the app itself made a table of that name
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p')
                  AND pg_catalog.pg_get_userbyid(c.relowner) = SESSION_USER) AS "there";

-- be_brief --
-- Whoever writes the table just now is not kept waiting behind us
SET LOCAL lock_timeout = '2s';

-- unwatch_script --
-- As the app: takes away what stands on its tables for one trigger
SELECT coalesce(string_agg(format('DROP TRIGGER %%I ON %%I.%%I;', g.tgname, n.nspname, c.relname), ' '), '') AS script
  FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE g.tgparentid = 0 AND starts_with(g.tgname, %(prefix)s) AND pg_catalog.pg_get_userbyid(c.relowner) = SESSION_USER;

-- watch_script --
-- As the app: `holds` is SQL of the owner, and was checked to be one condition (agents/triggers/predicates); `held` is the
-- same of the row as it was
SELECT format('CREATE TRIGGER %%1$I AFTER %%2$s ON %%3$I.%%4$I FOR EACH ROW WHEN ('
              || CASE WHEN %(held)s::text <> '' THEN '(%%8$s) AND NOT coalesce((%%9$s), false)'
                      WHEN %(holds)s::text <> '' THEN '%%8$s'
                      WHEN %(op)s::text = 'update' THEN 'old.* IS DISTINCT FROM new.*' ELSE 'true' END
              || ') EXECUTE FUNCTION %%5$I.note_change(%%6$L, %%7$L)',
              %(name)s::text, upper(%(op)s::text), %(schema)s::text, %(table)s::text, %(own)s::text, %(trigger)s::text,
              %(digest)s::text, %(holds)s::text, %(held)s::text) AS script;

-- outbox --
-- What an app's writes left for one trigger, the oldest first
SELECT id, op, of_table, new_row, old_row FROM {own}.outbox WHERE trigger = %(trigger)s ORDER BY id LIMIT %(limit)s;

-- taken_out --
-- In the transaction that recorded their slots
DELETE FROM {own}.outbox WHERE id = ANY (%(ids)s);

-- forget --
-- For a trigger that counts no more
DELETE FROM {own}.outbox WHERE trigger = %(trigger)s;

-- listeners --
-- Triggers that wait for the results of an agent
SELECT t.id, t.agent_id, t.name, t.kind, t.spec, t.paused, t.cursor FROM pocketlet.trigger t
 WHERE t.kind = 'result' AND t.address = %(agent)s AND t.active AND t.agent_id <> %(id)s ORDER BY t.id;

-- hops --
-- How many agents started each other until this run, which may be on an item of a list
SELECT coalesce(max(greatest((s.about->>'hops')::int, (l.about->>'hops')::int)), 0) AS hops
  FROM pocketlet.slot s LEFT JOIN pocketlet.slot l ON l.id = s.parent WHERE s.run_id = %(run)s;
