-- add --
-- Unless the name is taken
INSERT INTO pocketlet.channel (name, kind, address, base_url, pinned, secret, sender, about, urgent, quiet_from, quiet_until, zone)
VALUES (%(name)s, %(kind)s, %(address)s, %(base_url)s, %(pinned)s, %(secret)s, %(sender)s, %(about)s, %(urgent)s, %(quiet_from)s,
        %(quiet_until)s, %(zone)s)
ON CONFLICT (name) DO NOTHING RETURNING *;

-- list --
-- All of them
SELECT * FROM pocketlet.channel ORDER BY name;

-- get --
-- By its name
SELECT * FROM pocketlet.channel WHERE name = %(name)s;

-- by_id --
-- As it is now
SELECT * FROM pocketlet.channel WHERE id = %(id)s;

-- remove --
-- With what was told on it
DELETE FROM pocketlet.channel WHERE name = %(name)s RETURNING id;

-- secret --
-- Whether there is one
SELECT 1 AS found FROM pocketlet.secret WHERE name = %(name)s;

-- hold --
-- Whoever plans for a channel takes it alone; one that is paused after a failure, or at work elsewhere, is left alone
SELECT *, pocketlet.now() AS now FROM pocketlet.channel WHERE id = %(id)s AND (not_before IS NULL OR not_before <= pocketlet.now()) FOR UPDATE SKIP LOCKED;

-- now --
-- The one clock
SELECT pocketlet.now() AS now;

-- worked --
-- A message was taken; whether the ones before it had failed
UPDATE pocketlet.channel c SET failures = 0, not_before = NULL
  FROM (SELECT id, failures FROM pocketlet.channel WHERE id = %(id)s FOR UPDATE) old
 WHERE c.id = old.id RETURNING old.failures;

-- failed --
-- The pause grows with each failure in a row
UPDATE pocketlet.channel SET failures = failures + 1, not_before = pocketlet.now() + make_interval(secs => %(seconds)s)
 WHERE id = %(id)s RETURNING failures;

-- listen --
-- One worker listens at a time, to a channel that has ears
UPDATE pocketlet.channel c SET listened_until = pocketlet.now() + make_interval(secs => %(seconds)s)
 WHERE c.id = (SELECT o.id FROM pocketlet.channel o
                WHERE o.kind = 'telegram' AND (o.listened_until IS NULL OR o.listened_until <= pocketlet.now())
                ORDER BY o.listened_until NULLS FIRST, o.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *;

-- let_go --
-- After listening; after a failure with a pause. The one that was listened to is last in turn
UPDATE pocketlet.channel SET listened_until = pocketlet.now() + make_interval(secs => %(pause)s)
 WHERE id = %(id)s;

-- move_on --
-- Past an update that nobody has taken in yet, in one transaction with what it means
UPDATE pocketlet.channel SET cursor = %(key)s WHERE id = %(id)s AND cursor < %(key)s RETURNING id;

-- take_in --
-- What came in and concerned us, once
INSERT INTO pocketlet.incoming (channel_id, key, state, meaning, words, run_id, delivery_id, answers)
VALUES (%(channel)s, %(key)s, %(state)s, %(meaning)s, %(words)s, %(run)s, %(delivery)s, %(answers)s)
ON CONFLICT (channel_id, key) DO NOTHING RETURNING id;

-- asked --
-- Words to a manager that may have been answered by now
SELECT i.id, i.channel_id AS channel, i.run_id AS run, i.answers FROM pocketlet.incoming i
 WHERE i.state = 'asked' AND i.run_id IS NOT NULL ORDER BY i.id;

-- forgotten --
-- Words to a manager whose agent was removed in the meantime
UPDATE pocketlet.incoming SET state = 'ignored' WHERE state = 'asked' AND run_id IS NULL;

-- answered --
-- Once
UPDATE pocketlet.incoming SET state = 'taken' WHERE id = %(id)s AND state = 'asked' RETURNING id;

-- confirm --
-- By the owner's word
UPDATE pocketlet.incoming SET state = %(state)s WHERE id = %(id)s AND state = 'unproven' RETURNING id, run_id AS run, words, key, channel_id AS channel;

-- unproven --
-- Answers that may be anybody's
SELECT i.id AS reply, c.name AS channel, i.run_id AS run, i.words, i.created_at FROM pocketlet.incoming i
  JOIN pocketlet.channel c ON c.id = i.channel_id WHERE i.state = 'unproven' ORDER BY i.id;
