-- find --
-- The effect of a step
SELECT e.id, e.run_id, e.step_seq, e.tool, e.kind, e.destination, e.request, e.message, e.request_hash, e.state, e.rule,
       e.response, EXISTS (SELECT FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.state = 'pending') AS waits,
       coalesce((SELECT a.because FROM pocketlet.approval a WHERE a.effect_id = e.id ORDER BY a.id DESC LIMIT 1), '') AS because
  FROM pocketlet.effect e WHERE e.run_id = %(run)s AND e.step_seq = %(seq)s;

-- get --
-- One effect
SELECT e.id, e.run_id, e.step_seq, e.tool, e.kind, e.destination, e.request, e.message, e.request_hash, e.state, e.rule,
       e.response, EXISTS (SELECT FROM pocketlet.approval a WHERE a.effect_id = e.id AND a.state = 'pending') AS waits,
       coalesce((SELECT a.because FROM pocketlet.approval a WHERE a.effect_id = e.id ORDER BY a.id DESC LIMIT 1), '') AS because
  FROM pocketlet.effect e WHERE e.id = %(id)s;

-- of_run --
-- What a run did or wanted to do outside
SELECT id, step_seq AS step, tool, kind, class, state, rule, destination AS to, request, request_hash, response, attempt
  FROM pocketlet.effect WHERE run_id = %(run)s ORDER BY step_seq;

-- plan --
-- With the decision on it
INSERT INTO pocketlet.effect (agent_id, run_id, step_seq, tool, kind, class, destination, request, message, request_hash,
                              state, rule, response, fence)
VALUES (%(agent)s, %(run)s, %(seq)s, 'send_mail', 'mail', %(class)s, %(to)s, %(request)s, %(message)s, %(hash)s,
        %(state)s, %(rule)s, %(said)s, %(fence)s)
RETURNING id;

-- ask --
-- A question to the owner, bound to the bytes
INSERT INTO pocketlet.approval (effect_id, question, why, request_hash)
SELECT id, %(question)s, %(why)s, request_hash FROM pocketlet.effect WHERE id = %(effect)s;

-- move --
-- One transition, under the fence
SELECT pocketlet.move_effect(%(id)s, %(fence)s, %(states)s, %(new)s, %(said)s);

-- questions --
-- What waits for the owner
SELECT a.id AS approval, a.question, a.why, a.created_at, e.id AS effect, e.kind, e.class, e.destination AS to, e.request,
       e.request_hash, e.message, r.id AS run, r.label, g.name AS agent
  FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
  JOIN pocketlet.run r ON r.id = e.run_id JOIN pocketlet.agent g ON g.id = r.agent_id
 WHERE a.state = 'pending' AND r.state NOT IN ('stopped', 'failed') ORDER BY a.id;

-- question --
-- Locked, for the answer
SELECT a.state, a.question, a.request_hash, e.request_hash AS effect_hash, e.id AS effect, e.run_id AS run, e.destination AS to,
       g.name AS agent, r.state AS run_state
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
