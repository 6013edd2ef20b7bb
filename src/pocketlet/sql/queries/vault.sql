-- hold --
-- Waits for a change of the key that is under way, and keeps another from beginning
LOCK TABLE pocketlet.secret IN ROW EXCLUSIVE MODE;

-- hold_alone --
-- Nobody else writes; readers go on
LOCK TABLE pocketlet.secret IN SHARE ROW EXCLUSIVE MODE;

-- key_id --
-- Which key is in force, if it was ever changed
SELECT value FROM pocketlet.setting WHERE name = 'sealing_key';

-- set_key_id --
-- In the transaction that seals everything anew
INSERT INTO pocketlet.setting (name, value) VALUES ('sealing_key', %(id)s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- put --
-- A new or changed secret; whether it was there before
WITH old AS (SELECT name FROM pocketlet.secret WHERE name = %(name)s)
INSERT INTO pocketlet.secret AS s (name, nonce, sealed) VALUES (%(name)s, %(nonce)s, %(sealed)s)
ON CONFLICT (name) DO UPDATE SET nonce = excluded.nonce, sealed = excluded.sealed, changed_at = pocketlet.now()
RETURNING EXISTS (SELECT FROM old) AS changed;

-- all --
-- Sealed values, for the gateways
SELECT name, nonce, sealed FROM pocketlet.secret ORDER BY name;

-- some --
-- Sealed values, and whether an agent's connections may use them
SELECT s.name, s.nonce, s.sealed,
       EXISTS (SELECT FROM pocketlet.secret_grant g WHERE g.name = s.name AND g.agent_id = %(agent_id)s) AS granted
  FROM pocketlet.secret s WHERE s.name = ANY (%(names)s) ORDER BY s.name;

-- reseal --
-- The same value under another key: it counts as unchanged
UPDATE pocketlet.secret SET nonce = %(nonce)s, sealed = %(sealed)s WHERE name = %(name)s;

-- used --
-- To the day, so that use writes little
UPDATE pocketlet.secret SET last_used_at = pocketlet.now()
 WHERE name = ANY (%(names)s) AND (last_used_at IS NULL OR last_used_at < date_trunc('day', pocketlet.now(), 'UTC'));

-- names --
-- What a person may see
SELECT name FROM pocketlet.secret ORDER BY name;

-- listing --
-- The same with what is known of each
SELECT s.name, s.created_at, s.changed_at, s.last_used_at,
       ARRAY(SELECT a.name FROM pocketlet.secret_grant g JOIN pocketlet.agent a ON a.id = g.agent_id
              WHERE g.name = s.name ORDER BY a.name) AS agents
  FROM pocketlet.secret s ORDER BY s.name;

-- grant --
-- No row if it is granted already
INSERT INTO pocketlet.secret_grant (name, agent_id)
SELECT s.name, %(agent_id)s FROM pocketlet.secret s WHERE s.name = %(name)s
ON CONFLICT DO NOTHING;

-- exists --
-- Whether there is such a secret
SELECT 1 FROM pocketlet.secret WHERE name = %(name)s;

-- revoke --
-- Takes a grant back
DELETE FROM pocketlet.secret_grant WHERE name = %(name)s AND agent_id = %(agent_id)s;

-- remove --
-- Forgets one, with its grants
DELETE FROM pocketlet.secret WHERE name = %(name)s;
