-- problems --
-- What is open, and what is over after it was told; how often and since when it was told on this channel. A channel says
-- nothing of itself
SELECT n.id, a.name AS agent, n.problem, n.title, n.hint, n.run_id AS run, n.count, n.first_at, n.last_at, n.resolved_at, n.resolution,
       t.since, t.number, p.before
  FROM pocketlet.notice n LEFT JOIN pocketlet.agent a ON a.id = n.agent_id
 CROSS JOIN LATERAL (SELECT min(d.created_at) AS since, coalesce(max(d.telling), 0) AS number,
                            coalesce(bool_or(d.state IN ('succeeded', 'unknown')), false) AS told
                       FROM pocketlet.delivery d WHERE d.channel_id = %(channel)s AND d.subject = 'notice:' || n.id) t
 CROSS JOIN LATERAL (SELECT max(d.created_at) AS before FROM pocketlet.notice o JOIN pocketlet.delivery d ON d.notice_id = o.id
                      WHERE o.problem = n.problem AND o.id < n.id AND d.channel_id = %(channel)s) p
 WHERE NOT starts_with(n.problem, 'channel:' || %(channel)s || ':')
   AND (n.resolved_at IS NULL
        OR (n.resolved_at > pocketlet.now() - interval '7 days' AND t.told AND n.resolution <> 'dismissed by the owner'
            AND NOT EXISTS (SELECT FROM pocketlet.delivery d
                             WHERE d.channel_id = %(channel)s AND d.subject = 'notice:' || n.id || ':over')))
 ORDER BY n.id;

-- approvals --
-- Questions that wait, and how often and since when they were told on this channel
SELECT a.id, a.question, a.why, a.created_at, a.expires_at, e.tool, e.kind, e.class, e.destination AS to, e.request_hash,
       r.id AS run, g.name AS agent, t.since, t.number
  FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
  JOIN pocketlet.run r ON r.id = e.run_id JOIN pocketlet.agent g ON g.id = r.agent_id
 CROSS JOIN LATERAL (SELECT min(d.created_at) AS since, coalesce(max(d.telling), 0) AS number FROM pocketlet.delivery d
                      WHERE d.channel_id = %(channel)s AND d.subject = 'approval:' || a.id) t
 WHERE a.state = 'pending' AND a.expires_at > pocketlet.now() AND r.state NOT IN ('stopped', 'failed') ORDER BY a.id;

-- results --
-- What was done since there is this channel, and at most three days ago
SELECT r.id AS run, g.name AS agent, r.outcome, r.result, r.input->>'subject' AS subject, r.ended_at
  FROM pocketlet.run r JOIN pocketlet.agent g ON g.id = r.agent_id
 WHERE r.kind = 'run' AND r.state = 'done' AND NOT r.dry AND r.ended_at >= %(since)s
   AND r.ended_at > pocketlet.now() - interval '3 days'
   AND NOT EXISTS (SELECT FROM pocketlet.delivery d WHERE d.channel_id = %(channel)s AND d.subject = 'result:' || r.id)
 ORDER BY r.ended_at, r.id;

-- plan --
-- Once for each subject and telling, whoever comes first
INSERT INTO pocketlet.delivery (channel_id, subject, telling, kind, class, title, body, facts, run_id, notice_id, approval_id,
                                digest_id, answers)
VALUES (%(channel)s, %(subject)s, %(telling)s, %(kind)s, %(class)s, %(title)s, %(body)s, %(facts)s, %(run)s, %(notice)s,
        %(approval)s, %(digest)s, %(answers)s)
ON CONFLICT (channel_id, subject, telling) DO NOTHING RETURNING id;

-- drop --
-- What was over before it was told; a message that may have arrived is not taken back
UPDATE pocketlet.delivery d SET state = 'failed', said = 'over before it was told', changed_at = pocketlet.now()
 WHERE d.channel_id = %(channel)s AND d.state = 'planned' AND (d.attempt = 0 OR d.class <> 'keyed')
   AND ((d.kind IN ('problem', 'still')
         AND NOT EXISTS (SELECT FROM pocketlet.notice n WHERE n.id = d.notice_id AND n.resolved_at IS NULL))
        OR (d.kind IN ('approval', 'reminder')
            AND NOT EXISTS (SELECT FROM pocketlet.approval a WHERE a.id = d.approval_id AND a.state = 'pending')));

-- drop_digests --
-- Nothing of it is left
UPDATE pocketlet.delivery d SET state = 'failed', said = 'over before it was told', changed_at = pocketlet.now()
 WHERE d.channel_id = %(channel)s AND d.state = 'planned' AND d.kind = 'digest' AND (d.attempt = 0 OR d.class <> 'keyed')
   AND NOT EXISTS (SELECT FROM pocketlet.delivery i WHERE i.digest_id = d.id AND i.state = 'planned');

-- claim --
-- The next message that may leave now, for this worker alone
UPDATE pocketlet.delivery d SET state = 'dispatching', attempt = d.attempt + 1, changed_at = pocketlet.now(),
                                lease_until = pocketlet.now() + make_interval(secs => %(lease)s)
 WHERE d.id = (SELECT o.id FROM pocketlet.delivery o
                WHERE o.channel_id = %(channel)s AND o.state = 'planned' AND o.digest_id IS NULL AND o.kind = ANY (%(kinds)s)
                  AND NOT EXISTS (SELECT FROM pocketlet.delivery i WHERE i.digest_id = o.id AND i.kind <> ALL (%(kinds)s))
                ORDER BY o.attempt, o.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING d.*;

-- claim_one --
-- A message that the owner asked for
UPDATE pocketlet.delivery d SET state = 'dispatching', attempt = d.attempt + 1, changed_at = pocketlet.now(),
                                lease_until = pocketlet.now() + make_interval(secs => %(lease)s)
 WHERE d.id = %(id)s AND d.state = 'planned' RETURNING d.*;

-- lost --
-- A message whose worker is gone
UPDATE pocketlet.delivery d SET attempt = d.attempt + 1, lease_until = pocketlet.now() + make_interval(secs => %(lease)s)
 WHERE d.id = (SELECT o.id FROM pocketlet.delivery o
                WHERE o.channel_id = %(channel)s AND o.state = 'dispatching' AND o.lease_until <= pocketlet.now()
                ORDER BY o.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING d.*;

-- taken --
-- A receipt is a fact, however late it comes
UPDATE pocketlet.delivery SET state = 'succeeded', reference = coalesce(nullif(%(reference)s, ''), reference), said = %(said)s,
                              lease_until = NULL, changed_at = pocketlet.now()
 WHERE id = %(id)s AND state <> 'succeeded';

-- settle --
-- By the worker that has it, and no other
UPDATE pocketlet.delivery SET state = %(state)s, said = %(said)s, lease_until = NULL, changed_at = pocketlet.now()
 WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'dispatching' RETURNING id;

-- items --
-- What is told together ends together
UPDATE pocketlet.delivery i SET state = d.state, changed_at = pocketlet.now()
  FROM pocketlet.delivery d WHERE d.id = %(id)s AND i.digest_id = d.id AND i.state NOT IN ('failed', 'succeeded');

-- tests --
-- How often the owner tried the channel
SELECT count(*)::int AS tests FROM pocketlet.delivery WHERE channel_id = %(channel)s AND kind = 'test';

-- get --
-- As it is now
SELECT d.*, c.kind AS channel_kind FROM pocketlet.delivery d JOIN pocketlet.channel c ON c.id = d.channel_id WHERE d.id = %(id)s;

-- by_reference --
-- The message that the other side calls so
SELECT d.* FROM pocketlet.delivery d WHERE d.channel_id = %(channel)s AND d.reference = %(reference)s ORDER BY d.id DESC LIMIT 1;

-- recent --
-- The last messages of a channel
SELECT id AS delivery, kind, state, title, said, attempt AS attempts, created_at, changed_at FROM pocketlet.delivery
 WHERE channel_id = %(channel)s AND (%(below)s::bigint IS NULL OR id < %(below)s) ORDER BY id DESC LIMIT %(limit)s;
