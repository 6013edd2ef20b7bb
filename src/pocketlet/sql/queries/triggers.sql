-- now --
-- The one clock of what is due
SELECT pocketlet.now() AS now;

-- of_agent --
-- Locked, as the current revision moves
SELECT id, name, kind, spec, active FROM pocketlet.trigger WHERE agent_id = %(agent)s ORDER BY name FOR UPDATE;

-- put --
-- As the current revision says; a new or changed one begins now, and fires for nothing that lies before
INSERT INTO pocketlet.trigger (agent_id, name, kind, spec, address, next_at)
VALUES (%(agent)s, %(name)s, %(kind)s, %(spec)s, %(address)s, %(next_at)s)
ON CONFLICT (agent_id, name) DO UPDATE
   SET kind = excluded.kind, spec = excluded.spec, address = excluded.address, next_at = excluded.next_at, active = true,
       watermark = pocketlet.now(), cursor = CASE WHEN trigger.active AND trigger.kind = excluded.kind AND trigger.spec->'source' = excluded.spec->'source'
                                                  THEN trigger.cursor ELSE '{}' END,
       failures = 0, holder = NULL, lease_until = NULL;

-- rest --
-- The current revision has it no more: what it had to do is not begun, and what was wrong with it is over
WITH passed AS (
  UPDATE pocketlet.slot SET state = 'skipped', reason = 'the trigger was removed', ended_at = pocketlet.now(), lease_until = NULL
   WHERE trigger_id = %(id)s AND state = 'due'
), over AS (
  UPDATE pocketlet.notice SET resolved_at = pocketlet.now(), resolution = 'the trigger was removed'
   WHERE resolved_at IS NULL AND problem LIKE 'trigger:' || %(id)s || ':%%'
)
UPDATE pocketlet.trigger SET active = false, next_at = NULL, paused = NULL WHERE id = %(id)s;

-- by_address --
-- Whose an event is; of two agents with one address, the older one
SELECT t.id, t.agent_id, t.name, t.kind, t.spec, t.paused, t.cursor FROM pocketlet.trigger t
 WHERE t.kind = %(kind)s AND t.address = %(address)s AND t.active ORDER BY t.agent_id, t.id LIMIT 1;

-- by_name --
-- Of an agent
SELECT t.id, t.agent_id, t.name, t.kind, t.spec, t.paused, t.cursor FROM pocketlet.trigger t
 WHERE t.agent_id = %(agent)s AND t.name = %(name)s AND t.active;

-- listing --
-- With how far each has come
SELECT a.name AS agent, t.name AS trigger, t.kind, t.spec, t.paused, t.next_at, t.failures,
       (SELECT max(s.due_at) FROM pocketlet.slot s WHERE s.trigger_id = t.id) AS last_due_at,
       (SELECT count(*) FROM pocketlet.slot s WHERE s.trigger_id = t.id AND s.state IN ('due', 'claimed')) AS open
  FROM pocketlet.trigger t JOIN pocketlet.agent a ON a.id = t.agent_id
 WHERE t.active AND (%(agent)s::bigint IS NULL OR t.agent_id = %(agent)s) ORDER BY a.name, t.name;

-- pause --
-- By the owner alone
UPDATE pocketlet.trigger SET paused = %(why)s WHERE id = %(id)s;

-- resume --
-- A schedule goes on from now
UPDATE pocketlet.trigger SET paused = NULL, watermark = pocketlet.now(), next_at = %(next_at)s
 WHERE id = %(id)s AND paused IS NOT NULL;
