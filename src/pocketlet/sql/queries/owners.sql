-- all --
SELECT id, name, keeper, password IS NOT NULL AS has_password FROM pocketlet.owner ORDER BY id;

-- add --
INSERT INTO pocketlet.owner (name) VALUES (%(name)s) ON CONFLICT (name) DO NOTHING
RETURNING id, name, keeper, false AS has_password;

-- has_agents --
SELECT FROM pocketlet.agent WHERE owner_id = %(owner)s LIMIT 1;

-- remove --
DELETE FROM pocketlet.owner WHERE id = %(owner)s;

-- give --
UPDATE pocketlet.agent SET owner_id = %(owner)s WHERE name = %(agent)s RETURNING id;

-- set_password --
UPDATE pocketlet.owner SET password = %(password)s WHERE id = %(owner)s;

-- end_sessions --
WITH codes AS (DELETE FROM pocketlet.login_code WHERE owner_id = %(owner)s)
DELETE FROM pocketlet.session WHERE owner_id = %(owner)s;

-- password --
SELECT id, name, keeper, password IS NOT NULL AS has_password, password FROM pocketlet.owner WHERE name = %(name)s;

-- new_code --
WITH old AS (DELETE FROM pocketlet.login_code WHERE expires_at < pocketlet.now())
INSERT INTO pocketlet.login_code (hash, owner_id, expires_at)
VALUES (%(hash)s, %(owner)s, pocketlet.now() + make_interval(secs => %(seconds)s));

-- use_code --
-- Once, also for two at the same moment
WITH used AS (DELETE FROM pocketlet.login_code WHERE hash = %(hash)s RETURNING owner_id, expires_at)
SELECT o.id, o.name, o.keeper, o.password IS NOT NULL AS has_password
  FROM used u JOIN pocketlet.owner o ON o.id = u.owner_id WHERE u.expires_at > pocketlet.now();

-- new_session --
WITH old AS (DELETE FROM pocketlet.session WHERE expires_at < pocketlet.now())
INSERT INTO pocketlet.session (hash, owner_id, browser, uid, expires_at)
VALUES (%(hash)s, %(owner)s, %(browser)s, %(user)s::bigint, pocketlet.now() + make_interval(days => %(days)s));

-- of_session --
-- Its use is noted once a minute: a page asks for many things
WITH used AS (
  UPDATE pocketlet.session SET last_used_at = pocketlet.now(), expires_at = pocketlet.now() + make_interval(days => %(days)s)
   WHERE hash = %(hash)s AND (uid IS NULL OR uid = %(user)s::bigint) AND expires_at > pocketlet.now() AND last_used_at < pocketlet.now() - interval '1 minute'
)
SELECT o.id, o.name, o.keeper, o.password IS NOT NULL AS has_password
  FROM pocketlet.session s JOIN pocketlet.owner o ON o.id = s.owner_id
 WHERE s.hash = %(hash)s AND (s.uid IS NULL OR s.uid = %(user)s::bigint) AND s.expires_at > pocketlet.now();

-- end_session --
DELETE FROM pocketlet.session WHERE hash = %(hash)s;

-- new_token --
INSERT INTO pocketlet.token (owner_id, name, hash, scopes, expires_at)
VALUES (%(owner)s, %(name)s, %(hash)s, %(scopes)s, %(expires)s)
ON CONFLICT (owner_id, name) DO NOTHING RETURNING id;

-- of_token --
-- Its use is noted once a minute
WITH used AS (
  UPDATE pocketlet.token SET last_used_at = pocketlet.now()
   WHERE hash = %(hash)s AND coalesce(expires_at, 'infinity') > pocketlet.now()
     AND coalesce(last_used_at, '-infinity') < pocketlet.now() - interval '1 minute'
)
SELECT t.id AS token, t.scopes, o.id, o.name, o.keeper, o.password IS NOT NULL AS has_password
  FROM pocketlet.token t JOIN pocketlet.owner o ON o.id = t.owner_id
 WHERE t.hash = %(hash)s AND coalesce(t.expires_at, 'infinity') > pocketlet.now();

-- tokens --
SELECT id, name, scopes, created_at, expires_at, last_used_at FROM pocketlet.token WHERE owner_id = %(owner)s ORDER BY id;

-- revoke_token --
DELETE FROM pocketlet.token WHERE owner_id = %(owner)s AND id = %(id)s RETURNING id;
