-- record --
-- The same event a second time finds its slot taken
INSERT INTO pocketlet.slot (agent_id, trigger_id, key, body, about, due_at, state, reason, ended_at)
VALUES (%(agent)s, %(trigger)s, %(key)s, %(body)s, %(about)s, coalesce(%(due)s, pocketlet.now()), %(state)s, %(reason)s,
        CASE WHEN %(state)s = 'due' THEN NULL ELSE pocketlet.now() END)
ON CONFLICT (trigger_id, key, parent) DO NOTHING RETURNING id;

-- record_many --
-- Occurrences of schedules: due, or passed over with the reason
INSERT INTO pocketlet.slot (agent_id, trigger_id, key, due_at, state, reason, stands_for, ended_at)
SELECT o.agent, o.trigger, o.key, o.due, o.state, o.reason, o.stands_for,
       CASE WHEN o.state = 'due' THEN NULL ELSE pocketlet.now() END
  FROM jsonb_to_recordset(%(occurrences)s) AS o (agent bigint, trigger bigint, key text, due timestamptz, state text,
                                                 reason text, stands_for int)
ON CONFLICT (trigger_id, key, parent) DO NOTHING;

-- hold_due_agents --
-- First, as whoever changes an agent locks it before its triggers; one that is being changed waits for the next tick
SELECT a.id FROM pocketlet.agent a
 WHERE a.id IN (SELECT t.agent_id FROM pocketlet.trigger t
                 WHERE t.kind = 'schedule' AND t.active AND t.paused IS NULL AND t.next_at <= pocketlet.now()
                 ORDER BY t.next_at LIMIT %(limit)s)
 ORDER BY a.id FOR KEY SHARE SKIP LOCKED;

-- schedules_due --
-- Those whose time has come; another worker takes others
SELECT t.id, t.agent_id, t.name, t.spec, t.watermark, pocketlet.now() AS now FROM pocketlet.trigger t
 WHERE t.kind = 'schedule' AND t.active AND t.paused IS NULL AND t.next_at <= pocketlet.now()
   AND t.agent_id = ANY (%(agents)s) ORDER BY t.next_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED;

-- put_off_schedule --
-- One that can't be computed is tried again later; its watermark stays
UPDATE pocketlet.trigger SET next_at = pocketlet.now() + interval '1 hour' WHERE id = %(id)s;

-- move_watermarks --
-- With the slots, in one transaction
UPDATE pocketlet.trigger t SET watermark = m.watermark, next_at = m.next_at
  FROM jsonb_to_recordset(%(moved)s) AS m (id bigint, watermark timestamptz, next_at timestamptz) WHERE t.id = m.id;

-- take --
-- Due ones, for this worker alone until the lease is over: of each trigger a few, so that none keeps all others waiting,
-- and of one that queues its runs the oldest alone
WITH due AS (
  SELECT s.id, s.trigger_id, s.due_at, t.spec->>'overlap' = 'queue' AND s.parent IS NULL AS queued,
         greatest(s.not_before, s.lease_until, '-infinity') <= pocketlet.now() AS ready
    FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id
   WHERE s.state = 'due' AND NOT s.held AND t.paused IS NULL
), placed AS (
  SELECT d.id, d.queued, d.ready, row_number() OVER (PARTITION BY d.trigger_id ORDER BY d.due_at, d.id) AS place,
         row_number() OVER (PARTITION BY d.trigger_id, d.ready ORDER BY d.due_at, d.id) AS place_of_ready FROM due d
), taken AS (
  SELECT s.id FROM pocketlet.slot s JOIN placed p ON p.id = s.id
   WHERE s.state = 'due' AND p.ready AND (p.place = 1 OR NOT p.queued AND p.place_of_ready <= %(each)s)
     AND coalesce(s.lease_until, '-infinity') < pocketlet.now()
     AND NOT EXISTS (SELECT FROM pocketlet.notice n WHERE starts_with(n.problem, 'disk:low:') AND n.resolved_at IS NULL)
   ORDER BY s.due_at, s.id LIMIT %(limit)s FOR UPDATE OF s SKIP LOCKED
)
UPDATE pocketlet.slot s SET attempts = s.attempts + 1, lease_until = pocketlet.now() + make_interval(secs => %(lease)s)
  FROM taken WHERE s.id = taken.id
RETURNING s.id, s.trigger_id, s.due_at;

-- load --
-- A slot with its trigger
SELECT s.id AS slot, s.key, s.state AS slot_state, s.body, s.about, s.attempts, s.due_at, s.run_id, s.replays, s.position,
       t.id, t.agent_id, t.name, t.kind, t.spec, t.paused, t.cursor
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id WHERE s.id = %(slot)s;

-- hold_agent --
-- First, as whoever changes an agent locks it before its triggers
SELECT FROM pocketlet.agent WHERE id = %(agent)s FOR KEY SHARE;

-- hold --
-- One slot of a trigger is begun at a time
SELECT s.id FROM pocketlet.trigger t JOIN pocketlet.slot s ON s.trigger_id = t.id
 WHERE s.id = %(slot)s AND s.state = 'due' AND s.attempts = %(attempts)s
   AND NOT EXISTS (SELECT FROM pocketlet.notice n WHERE starts_with(n.problem, 'disk:low:') AND n.resolved_at IS NULL)
   FOR NO KEY UPDATE;

-- under_way --
-- A run of this trigger that somebody works on, or will; or a list of it with items that are not begun
SELECT s.id AS slot, s.run_id AS run FROM pocketlet.slot s LEFT JOIN pocketlet.run r ON r.id = s.run_id
 WHERE s.trigger_id = %(trigger)s AND s.state = 'claimed'
   AND (r.state IN ('queued', 'running')
        OR EXISTS (SELECT FROM pocketlet.slot c WHERE c.parent = s.id AND c.state = 'due')) ORDER BY s.id LIMIT 1;

-- older --
-- A slot of the same trigger that came before this one and waits, too
SELECT o.id FROM pocketlet.slot o JOIN pocketlet.slot s ON s.id = %(slot)s
 WHERE o.trigger_id = s.trigger_id AND o.state = 'due' AND o.parent IS NULL AND (o.due_at, o.id) < (s.due_at, s.id) LIMIT 1;

-- newer --
-- A slot of the same trigger that came after this one and waits, too
SELECT n.id FROM pocketlet.slot n JOIN pocketlet.slot s ON s.id = %(slot)s
 WHERE n.trigger_id = s.trigger_id AND n.state = 'due' AND n.position IS NULL AND (n.due_at, n.id) > (s.due_at, s.id) LIMIT 1;

-- claimed --
-- It has its run, made in this transaction
UPDATE pocketlet.slot SET state = 'claimed', run_id = %(run)s, started_at = pocketlet.now(), lease_until = NULL
 WHERE id = %(slot)s AND state = 'due';

-- wait --
-- Not now, but later
UPDATE pocketlet.slot SET not_before = pocketlet.now() + make_interval(secs => %(seconds)s), lease_until = NULL,
       reason = %(reason)s
 WHERE id = %(slot)s AND state = 'due';

-- settle --
-- Its end, once; not if its run was tried again at this moment
UPDATE pocketlet.slot SET state = %(state)s, reason = %(reason)s, ended_at = pocketlet.now(), lease_until = NULL
 WHERE id = %(slot)s AND state IN ('due', 'claimed')
   AND NOT EXISTS (SELECT FROM pocketlet.run r WHERE r.id = slot.run_id AND r.state IN ('queued', 'running', 'waiting'))
RETURNING id;

-- ended_runs --
-- Claimed slots whose run is at rest for good, or was removed
SELECT s.id FROM pocketlet.slot s LEFT JOIN pocketlet.run r ON r.id = s.run_id
 WHERE s.state = 'claimed' AND s.items IS NULL AND (r.id IS NULL OR r.state IN ('done', 'failed', 'stopped'))
   AND coalesce(s.not_before, '-infinity') <= pocketlet.now()
 ORDER BY s.id LIMIT %(limit)s;

-- unsettled --
-- Its checks can't be made now
UPDATE pocketlet.slot SET not_before = pocketlet.now() + make_interval(secs => %(seconds)s), reason = %(reason)s
 WHERE id = %(slot)s AND state = 'claimed';

-- not_made_good --
-- An event that failed since the notice was opened and was not done since: only of a schedule, a later one stands for it
SELECT s.id FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id
  JOIN pocketlet.notice n ON n.problem = %(problem)s AND n.resolved_at IS NULL
 WHERE s.trigger_id = %(trigger)s AND s.state = 'failed' AND s.parent IS NULL AND t.kind <> 'schedule'
   AND s.ended_at >= n.first_at - interval '10 seconds'
   AND NOT EXISTS (SELECT FROM pocketlet.slot r WHERE r.replays = s.id AND r.state = 'done') LIMIT 1;

-- lock_claimed --
-- For this transaction, unless another worker has it
SELECT s.id, s.trigger_id, s.agent_id, s.run_id, s.due_at, s.parent, t.name AS trigger, t.spec, a.name AS agent,
       r.state AS run_state, r.outcome, r.result, r.error, r.dry
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id JOIN pocketlet.agent a ON a.id = s.agent_id
  LEFT JOIN pocketlet.run r ON r.id = s.run_id
 WHERE s.id = %(slot)s AND s.state = 'claimed' AND s.items IS NULL FOR UPDATE OF s SKIP LOCKED;

-- replay --
-- The same event once more, as a slot of its own
INSERT INTO pocketlet.slot (agent_id, trigger_id, key, body, about, position, replays)
SELECT s.agent_id, s.trigger_id,
       'replay:' || s.id || ':' || (SELECT count(*) + 1 FROM pocketlet.slot r WHERE r.replays = s.id), s.body, s.about,
       s.position, s.id
  FROM pocketlet.slot s WHERE s.id = %(slot)s
RETURNING id;

-- recent --
-- Mails of one correspondent within an hour that started something, or will
SELECT count(*)::int AS mails FROM pocketlet.slot
 WHERE agent_id = %(agent)s AND trigger_id = %(trigger)s AND about->>'sender' = %(sender)s AND state <> 'skipped'
   AND due_at > pocketlet.now() - interval '1 hour';

-- late --
-- Due for so long, and nobody has begun them, by trigger; not items of lists, and not what waits for the run before it
SELECT s.agent_id, s.trigger_id, a.name AS agent, t.name AS trigger, count(*)::int AS count, min(s.due_at) AS due_at,
       max(s.reason) AS reason
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id JOIN pocketlet.agent a ON a.id = s.agent_id
 WHERE s.state = 'due' AND t.paused IS NULL AND s.parent IS NULL AND s.reason NOT LIKE 'waits for %%'
   AND greatest(s.due_at, s.recorded_at) < pocketlet.now() - make_interval(secs => %(seconds)s)
 GROUP BY s.agent_id, s.trigger_id, a.name, t.name ORDER BY s.trigger_id;

-- late_no_more --
-- Notices of what was late, and is begun or has its end
UPDATE pocketlet.notice n SET resolved_at = pocketlet.now(), resolution = 'nothing is late any more'
 WHERE n.resolved_at IS NULL AND n.problem LIKE 'trigger:%%:late' AND n.problem <> ALL (%(problems)s);

-- listing --
-- The newest first; a list is one row
SELECT s.id AS slot, a.name AS agent, t.name AS trigger, t.kind, s.key, s.state, s.reason, s.stands_for, s.due_at,
       s.started_at, s.ended_at, s.run_id AS run, s.replays, s.items
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id JOIN pocketlet.agent a ON a.id = s.agent_id
 WHERE (%(agent)s::bigint IS NULL OR s.agent_id = %(agent)s) AND (%(trigger)s::bigint IS NULL OR s.trigger_id = %(trigger)s)
   AND s.parent IS NULL
 ORDER BY s.due_at DESC, s.id DESC LIMIT %(limit)s;

-- today --
-- What was due in the last hours, what ran, what failed, what waits, and what comes next; a list is one thing, but each
-- of its items may wait for a person
SELECT a.name AS agent, t.name AS trigger, t.kind, t.paused, t.next_at, t.failures,
       coalesce(sum(s.stands_for) FILTER (WHERE s.parent IS NULL), 0) AS due,
       count(s.id) FILTER (WHERE s.state = 'done' AND s.parent IS NULL) AS done,
       count(s.id) FILTER (WHERE s.state = 'failed' AND s.parent IS NULL) AS failed,
       coalesce(sum(s.stands_for) FILTER (WHERE s.state = 'skipped'), 0) AS skipped,
       coalesce(sum(s.stands_for) FILTER (WHERE s.state = 'missed'), 0) AS missed,
       count(s.id) FILTER (WHERE s.state = 'due' AND s.parent IS NULL) AS not_begun,
       count(s.id) FILTER (WHERE s.state = 'claimed' AND s.parent IS NULL
                                 AND (s.items IS NOT NULL OR r.state IN ('queued', 'running'))) AS under_way,
       count(s.id) FILTER (WHERE s.state = 'claimed' AND r.state = 'waiting') AS waits_for_you,
       max(s.reason) FILTER (WHERE s.state IN ('failed', 'missed') AND s.parent IS NULL) AS why
  FROM pocketlet.trigger t JOIN pocketlet.agent a ON a.id = t.agent_id
  LEFT JOIN pocketlet.slot s ON s.trigger_id = t.id
        AND (s.due_at > pocketlet.now() - make_interval(hours => %(hours)s) OR s.state IN ('due', 'claimed'))
  LEFT JOIN pocketlet.run r ON r.id = s.run_id
 WHERE t.active GROUP BY a.name, t.id ORDER BY a.name, t.name;
