-- become --
-- The list is under way, and has so many items
UPDATE pocketlet.slot SET state = 'claimed', items = %(items)s, reason = '', started_at = pocketlet.now(), lease_until = NULL
 WHERE id = %(slot)s AND state = 'due';

-- spread --
-- Its items, each a slot; those after the first few wait until `release` lets them go
INSERT INTO pocketlet.slot (agent_id, trigger_id, key, body, about, due_at, parent, position, held)
SELECT s.agent_id, s.trigger_id, s.key || '/' || i.position, i.body, %(about)s, s.due_at, s.id, i.position,
       i.position > %(at_once)s
  FROM pocketlet.slot s, unnest(%(bodies)s::bytea[]) WITH ORDINALITY AS i (body, position) WHERE s.id = %(slot)s;

-- copied --
-- The items that a list had, for it to be done again
SELECT c.body, c.about FROM pocketlet.slot c WHERE c.parent = %(slot)s ORDER BY c.position;

-- release --
-- The next items of each list that has room: a run that waits for a person takes none. Whoever comes second to the
-- same items finds them let go.
WITH list AS (
  SELECT p.id, coalesce((t.spec->>'at_once')::int, 1) AS at_once
    FROM pocketlet.slot p JOIN pocketlet.trigger t ON t.id = p.trigger_id
   WHERE p.state = 'claimed' AND p.items IS NOT NULL
     AND EXISTS (SELECT FROM pocketlet.slot h WHERE h.parent = p.id AND h.state = 'due' AND h.held)
   ORDER BY p.id FOR UPDATE OF p SKIP LOCKED
), room AS (
  SELECT l.id, l.at_once - (
           SELECT count(*) FROM pocketlet.slot c LEFT JOIN pocketlet.run r ON r.id = c.run_id
            WHERE c.parent = l.id AND ((c.state = 'due' AND NOT c.held)
                                       OR (c.state = 'claimed' AND r.state IN ('queued', 'running')))) AS free
    FROM list l
), following AS (
  SELECT n.id FROM room CROSS JOIN LATERAL (
    SELECT h.id FROM pocketlet.slot h WHERE h.parent = room.id AND h.state = 'due' AND h.held
     ORDER BY h.position LIMIT greatest(room.free, 0)) n
)
UPDATE pocketlet.slot s SET held = false FROM following f WHERE s.id = f.id AND s.held;

-- ended --
-- Lists of which every item has its end
SELECT p.id FROM pocketlet.slot p
 WHERE p.state = 'claimed' AND p.items IS NOT NULL
   AND NOT EXISTS (SELECT FROM pocketlet.slot c WHERE c.parent = p.id AND c.state IN ('due', 'claimed'))
 ORDER BY p.id LIMIT %(limit)s;

-- lock --
-- For this transaction, unless another worker has it
SELECT p.id, p.agent_id, p.trigger_id, p.items, t.name AS trigger, a.name AS agent
  FROM pocketlet.slot p JOIN pocketlet.trigger t ON t.id = p.trigger_id JOIN pocketlet.agent a ON a.id = p.agent_id
 WHERE p.id = %(slot)s AND p.state = 'claimed' AND p.items IS NOT NULL FOR UPDATE OF p SKIP LOCKED;

-- outcome --
-- After the lock: whether an item is open again, and which have failed
SELECT count(*) FILTER (WHERE c.state IN ('due', 'claimed')) AS open,
       coalesce(array_agg(c.position ORDER BY c.position) FILTER (WHERE c.state <> 'done'), '{}') AS failed
  FROM pocketlet.slot c WHERE c.parent = %(slot)s;

-- results --
-- In the order of the list
SELECT c.position, c.id AS slot, c.state, c.run_id AS run, r.state AS run_state, r.outcome, r.result AS summary, c.reason
  FROM pocketlet.slot c LEFT JOIN pocketlet.run r ON r.id = c.run_id WHERE c.parent = %(slot)s ORDER BY c.position;

-- shown --
-- One slot, whatever it is, for a person
SELECT s.id AS slot, a.name AS agent, t.name AS trigger, t.kind, s.key, s.due_at, s.started_at, s.ended_at, s.state,
       s.reason, coalesce(length(s.body), 0) AS body_bytes, s.run_id AS run, s.replays, s.parent, s.position,
       s.items AS item_count
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id JOIN pocketlet.agent a ON a.id = s.agent_id
 WHERE s.id = %(slot)s;

-- own_tables --
-- Whether a table of the agent's own has one of these names, such as run: a plan names tables without their schema
SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles o ON o.oid = c.relowner
 WHERE o.rolname = %(agent)s AND c.relname = ANY (%(names)s) LIMIT 1;
