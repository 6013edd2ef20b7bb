-- make --
-- Bound to the question as it is now, and good no longer than it
INSERT INTO pocketlet.link (approval_id, delivery_id, purpose, nonce, digest, request_hash, expires_at)
SELECT a.id, %(delivery)s, %(purpose)s, %(nonce)s, '', a.request_hash, a.expires_at FROM pocketlet.approval a
 WHERE a.id = %(approval)s AND a.state = 'pending' AND a.expires_at > pocketlet.now()
ON CONFLICT (delivery_id) DO NOTHING
RETURNING id, approval_id, purpose, nonce, request_hash, expires_at;

-- of_delivery --
-- The link that a message carries, for another try
SELECT id, approval_id, purpose, nonce, request_hash, expires_at FROM pocketlet.link WHERE delivery_id = %(delivery)s;

-- seal --
-- What the token is known by
UPDATE pocketlet.link SET digest = %(digest)s WHERE id = %(id)s;

-- get --
-- With how its question stands; locked, so that of two that use it at once one is first
SELECT l.id, l.approval_id, l.purpose, l.nonce, l.digest, l.request_hash, l.expires_at, l.expires_at <= pocketlet.now() AS late,
       l.used_at, a.state, a.request_hash AS asked, e.request_hash AS standing
  FROM pocketlet.link l JOIN pocketlet.approval a ON a.id = l.approval_id JOIN pocketlet.effect e ON e.id = a.effect_id
 WHERE l.id = %(id)s FOR UPDATE OF l;

-- use --
-- Once
UPDATE pocketlet.link SET used_at = pocketlet.now() WHERE id = %(id)s AND used_at IS NULL RETURNING id;
