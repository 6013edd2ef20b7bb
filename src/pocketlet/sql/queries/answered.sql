-- begin --
-- The key is this request's, if nobody had it within a day
WITH old AS (
  DELETE FROM pocketlet.answered WHERE owner_id = %(owner)s AND key <> %(key)s AND at < pocketlet.now() - interval '24 hours'
)
INSERT INTO pocketlet.answered AS a (owner_id, key, request) VALUES (%(owner)s, %(key)s, %(request)s)
ON CONFLICT (owner_id, key) DO UPDATE SET request = excluded.request, status = NULL, body = NULL, at = excluded.at
  WHERE a.at < pocketlet.now() - interval '24 hours'
RETURNING key;

-- known --
SELECT request, status, body FROM pocketlet.answered WHERE owner_id = %(owner)s AND key = %(key)s;

-- done --
UPDATE pocketlet.answered SET status = %(status)s, body = %(body)s WHERE owner_id = %(owner)s AND key = %(key)s;

-- forget --
DELETE FROM pocketlet.answered WHERE owner_id = %(owner)s AND key = %(key)s AND status IS NULL;
