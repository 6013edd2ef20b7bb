-- find --
-- The effect of a step; one that the owner edited has another in its place
SELECT e.id, e.run_id, e.step_seq, e.tool, e.kind, e.class, e.destination, e.request, e.message, e.request_hash, e.state, e.rule,
       e.response, EXISTS (SELECT FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.state = 'pending') AS waits,
       coalesce((SELECT a.because FROM pocketlet.approval a WHERE a.effect_id = e.id ORDER BY a.id DESC LIMIT 1), '') AS because,
       e.replaces IS NOT NULL AS edited, e.attempt,
       (SELECT a.request_hash FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.state = 'approved'
         ORDER BY a.id DESC LIMIT 1) AS approved_hash,
       coalesce(pocketlet.now() - e.dispatched_at < make_interval(hours => %(window)s), true) AS in_window
  FROM pocketlet.effect e WHERE e.run_id = %(run)s AND e.step_seq = %(seq)s AND e.state <> 'replaced';

-- of_run --
-- What a run did or wanted to do outside
SELECT id, step_seq AS step, tool, kind, class, state, rule, destination AS to, request, request_hash, response, attempt
  FROM pocketlet.effect WHERE run_id = %(run)s ORDER BY step_seq, id;

-- plan --
-- With the decision on it
INSERT INTO pocketlet.effect (agent_id, run_id, step_seq, tool, kind, class, destination, request, message, request_hash,
                              state, rule, rule_id, response, fence)
VALUES (%(agent)s, %(run)s, %(seq)s, %(tool)s, %(kind)s, %(class)s, %(to)s, %(request)s, %(message)s, %(hash)s,
        %(state)s, %(rule)s, %(rule_id)s, %(said)s, %(fence)s)
RETURNING id;

-- ask --
-- A question to the owner, bound to the bytes
INSERT INTO pocketlet.approval (effect_id, question, why, request_hash, expires_at)
SELECT id, %(question)s, %(why)s, request_hash, pocketlet.now() + make_interval(days => %(days)s)
  FROM pocketlet.effect WHERE id = %(effect)s;

-- move --
-- One transition, under the fence
SELECT pocketlet.move_effect(%(id)s, %(fence)s, %(states)s, %(new)s, %(said)s);

-- questions --
-- What waits for the owner
SELECT a.id AS approval, a.question, a.why, a.created_at, a.expires_at, e.id AS effect, e.tool, e.kind, e.class, e.destination AS to,
       e.request, e.request_hash, e.message, r.id AS run, r.label, g.name AS agent
  FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
  JOIN pocketlet.run r ON r.id = e.run_id JOIN pocketlet.agent g ON g.id = r.agent_id
 WHERE a.state = 'pending' AND r.state NOT IN ('stopped', 'failed') ORDER BY a.id;

-- question --
-- Locked, for the answer
SELECT a.id, a.state, a.question, a.request_hash, a.expires_at <= pocketlet.now() AS late, e.request_hash AS effect_hash, e.id AS effect,
       e.run_id AS run, e.step_seq AS seq, e.tool, e.kind, e.class, e.destination AS to, e.request, e.message, e.fence, e.rule, g.name AS agent,
       g.id AS agent_id, r.state AS run_state
  FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id JOIN pocketlet.agent g ON g.id = e.agent_id
  JOIN pocketlet.run r ON r.id = e.run_id
 WHERE a.id = %(id)s FOR UPDATE OF a, e;

-- answer --
-- The owner's word, once
UPDATE pocketlet.approval SET state = %(state)s, because = %(because)s, decided_at = pocketlet.now()
 WHERE id = %(id)s AND state = 'pending';

-- set_state --
-- The answer's consequence; the run that acts on it is woken in the same transaction
UPDATE pocketlet.effect SET state = %(state)s, changed_at = pocketlet.now() WHERE id = %(id)s;

-- replace --
-- The effect as the owner edited it, approved by that
INSERT INTO pocketlet.effect (agent_id, run_id, step_seq, tool, kind, class, destination, request, message, request_hash, state, rule,
                              replaces, fence)
SELECT agent_id, run_id, step_seq, tool, kind, class, destination, %(request)s, %(message)s, %(hash)s, 'approved', 'edited', id, fence
  FROM pocketlet.effect WHERE id = %(id)s
RETURNING id;

-- approve_edit --
-- The edit is the yes to its own bytes
INSERT INTO pocketlet.approval (effect_id, question, why, request_hash, state, because, expires_at, decided_at)
SELECT id, 'send', 'edited by the owner', request_hash, 'approved', '', pocketlet.now(), pocketlet.now()
  FROM pocketlet.effect WHERE id = %(effect)s;

-- overdue --
-- Questions whose time is over
SELECT a.id FROM pocketlet.approval a WHERE a.state = 'pending' AND a.expires_at <= pocketlet.now() ORDER BY a.id;

-- rules --
-- Standing rules in force, with how often each may still be used today
SELECT u.id AS number, g.name AS agent, u.tool, u.kind, u.destination, u.per_day, u.review_on, u.review_on <= (pocketlet.now() AT TIME ZONE 'UTC')::date AS stale,
       u.per_day - (SELECT count(*)::int FROM pocketlet.effect e
                     WHERE e.rule_id = u.id AND e.created_at >= date_trunc('day', pocketlet.now(), 'UTC')) AS left
  FROM pocketlet.rule u JOIN pocketlet.agent g ON g.id = u.agent_id
 WHERE u.removed_at IS NULL AND (%(agent)s::bigint IS NULL OR u.agent_id = %(agent)s) ORDER BY u.id;

-- take_rule --
-- Whoever uses a rule takes turns
SELECT id FROM pocketlet.rule WHERE id = %(id)s AND removed_at IS NULL FOR UPDATE;

-- rule_left --
-- How often it may still be used today
SELECT u.per_day - (SELECT count(*)::int FROM pocketlet.effect e
                     WHERE e.rule_id = u.id AND e.created_at >= date_trunc('day', pocketlet.now(), 'UTC')) AS left
  FROM pocketlet.rule u WHERE u.id = %(id)s;

-- withdraw --
-- What was asked about an effect is of no use any more
UPDATE pocketlet.approval SET state = 'refused', because = %(because)s, decided_at = pocketlet.now()
 WHERE effect_id = %(effect)s AND state = 'pending';

-- add_rule --
-- By the owner's word
INSERT INTO pocketlet.rule (agent_id, tool, kind, destination, per_day, review_on)
VALUES (%(agent)s, %(tool)s, %(kind)s, %(to)s, %(per_day)s, (pocketlet.now() AT TIME ZONE 'UTC')::date + %(days)s::int) RETURNING id, review_on;

-- remove_rule --
-- It stays as a record
UPDATE pocketlet.rule u SET removed_at = pocketlet.now()
 WHERE u.id = %(id)s AND u.removed_at IS NULL
RETURNING u.id, (SELECT g.name FROM pocketlet.agent g WHERE g.id = u.agent_id) AS agent;
