-- claim --
-- Mailboxes that nobody watches, for this worker alone until the lease is over
UPDATE pocketlet.trigger SET holder = %(worker)s, lease_until = pocketlet.now() + make_interval(secs => %(lease)s)
 WHERE id IN (SELECT t.id FROM pocketlet.trigger t
               WHERE t.kind = 'mailbox' AND t.active AND coalesce(t.next_at, '-infinity') <= pocketlet.now()
                 AND (t.holder IS NULL OR t.lease_until < pocketlet.now())
               ORDER BY t.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING id, agent_id, name, kind, spec, paused, cursor;

-- renew --
-- Nothing comes back if somebody else has it now, or the trigger was changed
UPDATE pocketlet.trigger SET lease_until = pocketlet.now() + make_interval(secs => %(lease)s), failures = 0
 WHERE id = %(id)s AND holder = %(worker)s AND active RETURNING id;

-- place --
-- How far it was read; no holder stands for a look outside of any worker
SELECT cursor, pocketlet.now() AS now FROM pocketlet.trigger
 WHERE id = %(id)s AND active AND (%(worker)s::bigint IS NULL OR holder = %(worker)s);

-- locked_place --
-- The same for the transaction that moves it
SELECT cursor FROM pocketlet.trigger
 WHERE id = %(id)s AND active AND (%(worker)s::bigint IS NULL OR holder = %(worker)s) FOR UPDATE;

-- move --
-- With the slots, in one transaction
UPDATE pocketlet.trigger SET cursor = %(cursor)s WHERE id = %(id)s;

-- failed --
-- Let go until it is tried again
UPDATE pocketlet.trigger SET holder = NULL, lease_until = NULL, failures = failures + 1,
       next_at = pocketlet.now() + make_interval(secs => least(%(most)s, %(first)s * power(2, least(failures, 20))))
 WHERE id = %(id)s AND holder = %(worker)s RETURNING failures;

-- let_go --
-- Another worker may have it
UPDATE pocketlet.trigger SET holder = NULL, lease_until = NULL WHERE id = %(id)s AND holder = %(worker)s;
