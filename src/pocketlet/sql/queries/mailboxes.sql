-- claim --
-- Mailboxes that nobody watches, for this worker alone until the lease is over
UPDATE pocketlet.trigger SET holder = %(worker)s, lease_until = pocketlet.now() + make_interval(secs => %(lease)s)
 WHERE id IN (SELECT t.id FROM pocketlet.trigger t
               WHERE t.kind = 'mailbox' AND t.active AND coalesce(t.next_at, '-infinity') <= pocketlet.now()
                 AND (t.holder IS NULL OR t.lease_until < pocketlet.now()) AND t.id <> ALL (%(watched)s::bigint[])
               ORDER BY t.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING id, agent_id, name, kind, spec, paused, cursor;

-- unwatched --
-- Those whose time has come and that nobody has taken for five minutes
SELECT count(*)::int AS mailboxes FROM pocketlet.trigger t
 WHERE t.kind = 'mailbox' AND t.active AND coalesce(t.next_at, '-infinity') < pocketlet.now() - interval '5 minutes'
   AND (t.holder IS NULL OR t.lease_until < pocketlet.now());

-- renew --
-- Nothing comes back if somebody else has it now, or the trigger was changed
UPDATE pocketlet.trigger SET lease_until = pocketlet.now() + make_interval(secs => %(lease)s), failures = 0
 WHERE id = %(id)s AND holder = %(worker)s AND active RETURNING id;

-- place --
-- How far it was read, and the holder's lease anew; no holder stands for a look outside of any worker
UPDATE pocketlet.trigger
   SET lease_until = CASE WHEN %(worker)s::bigint IS NULL THEN lease_until
                          ELSE pocketlet.now() + make_interval(secs => %(lease)s) END
 WHERE id = %(id)s AND active AND (%(worker)s::bigint IS NULL OR holder = %(worker)s)
RETURNING cursor, pocketlet.now() AS now;

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
