-- put --
-- A new or changed secret
INSERT INTO pocketlet.secret (name, nonce, sealed) VALUES (%(name)s, %(nonce)s, %(sealed)s)
ON CONFLICT (name) DO UPDATE SET nonce = excluded.nonce, sealed = excluded.sealed, changed_at = pocketlet.now();

-- all --
-- Sealed values, for the gateways
SELECT name, nonce, sealed FROM pocketlet.secret ORDER BY name;

-- names --
-- What a person may see
SELECT name FROM pocketlet.secret ORDER BY name;

-- remove --
-- Forgets one
DELETE FROM pocketlet.secret WHERE name = %(name)s;
