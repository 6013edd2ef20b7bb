-- get --
-- An agent by name
SELECT id, name, origin, coalesce(current, 0) AS current FROM pocketlet.agent WHERE name = %(name)s;

-- lock --
-- Turns
SELECT id FROM pocketlet.agent WHERE id = %(id)s FOR UPDATE;

-- by_id --
-- An agent by id
SELECT id, name, origin, coalesce(current, 0) AS current FROM pocketlet.agent WHERE id = %(id)s;

-- list --
-- All agents
SELECT id, name, origin, coalesce(current, 0) AS current FROM pocketlet.agent ORDER BY name;

-- begin --
-- A new agent, unless the name is taken
INSERT INTO pocketlet.agent (name, origin, owner_id) VALUES (%(name)s, %(origin)s, %(owner)s)
ON CONFLICT (name) DO NOTHING
RETURNING id;

-- imported --
-- Whoever made it, it is the owner's now
UPDATE pocketlet.agent SET origin = 'import' WHERE id = %(id)s;

-- leaving --
-- What goes with it, and what it cost
SELECT count(*) AS runs, count(*) FILTER (WHERE state IN ('queued', 'running', 'waiting')) AS under_way,
       (SELECT count(*) FROM pocketlet.revision WHERE agent_id = %(id)s) AS revisions,
       (SELECT count(*) FROM pocketlet.feedback WHERE agent_id = %(id)s) AS feedback,
       (SELECT coalesce(sum(cost), 0) FROM pocketlet.ledger WHERE agent_id = %(id)s) AS spent
  FROM pocketlet.run WHERE agent_id = %(id)s;

-- forget --
-- Jobs first, then the row with all that hangs on it
WITH jobs AS (
  DELETE FROM queue.procrastinate_jobs j USING pocketlet.run r
   WHERE r.agent_id = %(id)s AND j.status = 'todo' AND j.queueing_lock = 'run:' || r.id
), budgets AS (
  DELETE FROM pocketlet.budget b
   WHERE b.scope LIKE 'agent:' || %(id)s || ':%%'
      OR b.scope IN (SELECT 'run:' || r.id FROM pocketlet.run r WHERE r.agent_id = %(id)s)
)
DELETE FROM pocketlet.agent WHERE id = %(id)s;
