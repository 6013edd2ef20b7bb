-- get --
-- One, by name
SELECT * FROM pocketlet.connection WHERE name = %(name)s;

-- list --
-- All, by name, with the agents that may use them
SELECT c.*, coalesce(array_agg(a.name ORDER BY a.name) FILTER (WHERE a.id IS NOT NULL), '{}') AS agents
  FROM pocketlet.connection c
  LEFT JOIN pocketlet.connection_grant g ON g.connection_id = c.id
  LEFT JOIN pocketlet.agent a ON a.id = g.agent_id
 GROUP BY c.id
 ORDER BY c.name;

-- of_agent --
-- What an agent may use now
SELECT c.* FROM pocketlet.connection c JOIN pocketlet.connection_grant g ON g.connection_id = c.id
 WHERE g.agent_id = %(agent)s AND NOT c.off
 ORDER BY c.name;

-- overdue --
-- The date since which a review of the connection, or of this agent's grant, is due
SELECT least(c.review_on, g.review_on) AS since
  FROM pocketlet.connection c JOIN pocketlet.connection_grant g ON g.connection_id = c.id AND g.agent_id = %(agent)s
 WHERE c.id = %(id)s AND least(c.review_on, g.review_on) <= (pocketlet.now() AT TIME ZONE 'UTC')::date;

-- usable --
-- Whether the switch is on, and whether the agent has a grant, as of now
SELECT NOT c.off AS enabled, EXISTS (SELECT FROM pocketlet.connection_grant g
                                 WHERE g.connection_id = c.id AND g.agent_id = %(agent)s::bigint) AS granted
  FROM pocketlet.connection c WHERE c.id = %(id)s;

-- add --
-- A new one, unless the name is taken
INSERT INTO pocketlet.connection (name, kind, base_url, auth, headers, allow, deny, pinned, max_bytes, seconds, per_day,
                                  notes, settings, review_on)
VALUES (%(name)s, %(kind)s, %(base_url)s, %(auth)s, %(headers)s, %(allow)s, %(deny)s, %(pinned)s, %(max_bytes)s,
        %(seconds)s, %(per_day)s, %(notes)s, %(settings)s, %(review_on)s)
ON CONFLICT DO NOTHING
RETURNING *;

-- lock --
-- Turns, for changes of the lists
SELECT * FROM pocketlet.connection WHERE name = %(name)s FOR NO KEY UPDATE;

-- set_lists --
-- What is allowed, and what is known and is not
UPDATE pocketlet.connection SET allow = %(allow)s, deny = %(deny)s, changed_at = pocketlet.now() WHERE id = %(id)s RETURNING *;

-- switch --
-- The cut-off switch
UPDATE pocketlet.connection SET off = %(off)s, changed_at = pocketlet.now() WHERE name = %(name)s RETURNING *;

-- note --
-- What was learnt about a service
UPDATE pocketlet.connection SET notes = %(notes)s, changed_at = pocketlet.now() WHERE id = %(id)s RETURNING *;

-- remove --
-- With its grants
DELETE FROM pocketlet.connection WHERE id = %(id)s;

-- grant --
-- An agent may use it from now on
INSERT INTO pocketlet.connection_grant (connection_id, agent_id, review_on) VALUES (%(id)s, %(agent)s, %(review_on)s)
ON CONFLICT (connection_id, agent_id) DO UPDATE SET review_on = excluded.review_on;

-- renew --
-- The owner has looked: a new review date, for the grants, too
WITH grants AS (
  UPDATE pocketlet.connection_grant SET review_on = %(review_on)s WHERE connection_id = %(id)s
)
UPDATE pocketlet.connection SET review_on = %(review_on)s, changed_at = pocketlet.now() WHERE id = %(id)s;

-- revoke --
-- And from now on not
DELETE FROM pocketlet.connection_grant WHERE connection_id = %(id)s AND agent_id = %(agent)s;

-- agent --
-- The agent that is meant
SELECT id, name FROM pocketlet.agent WHERE name = %(name)s;

-- agents --
-- Who may use it
SELECT a.id, a.name, g.review_on, g.created_at
  FROM pocketlet.connection_grant g JOIN pocketlet.agent a ON a.id = g.agent_id
 WHERE g.connection_id = %(id)s
 ORDER BY a.name;

-- others --
-- The other connections that an agent may use: their secrets stay its own
SELECT c.* FROM pocketlet.connection c JOIN pocketlet.connection_grant g ON g.connection_id = c.id
 WHERE g.agent_id = %(agent)s AND c.id <> %(id)s;

-- take --
-- One call of today's, unless the cap is reached
INSERT INTO pocketlet.connection_use AS u (connection_id, day, calls)
SELECT c.id, %(day)s, 1 FROM pocketlet.connection c WHERE c.id = %(id)s AND coalesce(c.per_day, 1) > 0
ON CONFLICT (connection_id, day) DO UPDATE SET calls = u.calls + 1
  WHERE u.calls < coalesce((SELECT c.per_day FROM pocketlet.connection c WHERE c.id = u.connection_id), 2147483647)
RETURNING calls;

-- begin_token --
-- The row that is locked
INSERT INTO pocketlet.connection_token (connection_id) VALUES (%(id)s) ON CONFLICT DO NOTHING;

-- lock_token --
-- Turns, for whoever looks whether the token is to be renewed
SELECT expires_at, doubted, renewed_at FROM pocketlet.connection_token WHERE connection_id = %(id)s FOR UPDATE;

-- renewed --
-- A new token is in the vault
UPDATE pocketlet.connection_token SET expires_at = %(expires_at)s, doubted = %(doubted)s, renewed_at = pocketlet.now()
 WHERE connection_id = %(id)s;

-- doubt --
-- The service did not take the token: it counts as expired, once
UPDATE pocketlet.connection_token SET expires_at = 'epoch', doubted = true WHERE connection_id = %(id)s;
