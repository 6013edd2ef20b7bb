-- listing --
-- An owner's runs that are as asked for, the newest first. Verdict: the last word on the run itself; errored: it failed, or
-- something in it did; held: the last act that was not let out
SELECT r.id AS run, a.name AS agent, r.kind, r.revision, r.state, coalesce(r.outcome, '') AS outcome,
       coalesce(r.result, '') AS result, coalesce(r.error, '') AS error, r.dry,
       coalesce(r.input->>'subject', '') AS subject, coalesce(r.input->>'sender', '') AS sender,
       left(coalesce(r.input->>'text', ''), 300) AS text, r.feedback_id AS feedback, f.run_id AS taught_on, c.run_id AS replays,
       coalesce(t.name, '') AS trigger, r.created_at, r.ended_at,
       extract(epoch FROM coalesce(r.ended_at, pocketlet.now()) - r.started_at)::float8 AS seconds,
       l.cost, l.tokens, v.verdict, u.unread, h.state AS held, h.tool AS held_tool, h.destination AS held_to, h.answer AS held_answer,
       EXISTS (SELECT FROM pocketlet.approval q JOIN pocketlet.effect e ON e.id = q.effect_id
                WHERE e.run_id = r.id AND q.state = 'pending') AS asks
  FROM pocketlet.run r JOIN pocketlet.agent a ON a.id = r.agent_id
  LEFT JOIN pocketlet.feedback f ON f.id = r.feedback_id
  LEFT JOIN pocketlet.cases c ON c.id = r.case_id
  LEFT JOIN LATERAL (SELECT t.name FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id
                      WHERE s.run_id = r.id ORDER BY s.id LIMIT 1) t ON true
  LEFT JOIN LATERAL (SELECT * FROM pocketlet.held_act h WHERE h.run_id = r.id) h
    ON r.outcome = 'blocked' OR r.dry OR r.kind = 'trial'
  CROSS JOIN LATERAL (SELECT coalesce(sum(l.cost), 0) AS cost, coalesce(sum(l.input_tokens + l.output_tokens), 0) AS tokens
                        FROM pocketlet.ledger l WHERE l.run_id = r.id) l
  CROSS JOIN LATERAL (SELECT coalesce((SELECT w.verdict FROM pocketlet.feedback w
                                        WHERE w.run_id = r.id AND NOT w.about ? 'table' ORDER BY w.id DESC LIMIT 1), 'none')
                             AS verdict) v
  CROSS JOIN LATERAL (SELECT NOT EXISTS (SELECT FROM pocketlet.seen s WHERE s.run_id = r.id AND s.owner_id = %(owner)s
                                            AND (r.state <> 'failed' OR s.at >= r.ended_at)) AS unread) u
 WHERE a.owner_id = %(owner)s AND (%(after)s::bigint IS NULL OR r.id < %(after)s)
   AND (%(agent)s = '' OR a.name = %(agent)s) AND (%(kind)s = 'all' OR r.kind = %(kind)s)
   AND (%(state)s = '' OR r.state = %(state)s) AND (%(trigger)s = '' OR coalesce(t.name, 'by hand') = %(trigger)s)
   AND (%(verdict)s = '' OR v.verdict = %(verdict)s) AND l.cost >= %(min_cost)s AND (u.unread OR NOT %(unread)s)
   AND (%(text)s = '' OR position(lower(%(text)s) IN lower(concat_ws(E'\n', r.input->>'subject', r.input->>'sender',
          r.input->>'text', r.result, r.error))) > 0)
   AND (NOT %(errored)s OR r.state = 'failed'
        OR EXISTS (SELECT FROM pocketlet.step s WHERE s.run_id = r.id AND s.error IS NOT NULL)
        OR EXISTS (SELECT FROM pocketlet.effect e WHERE e.run_id = r.id AND e.state IN ('failed', 'unknown', 'blocked')))
 ORDER BY r.id DESC LIMIT %(limit)s;

-- one --
-- What is compared of a run
SELECT r.id AS run, a.name AS agent, r.kind, r.revision, r.state, coalesce(r.outcome, '') AS outcome,
       coalesce(r.result, '') AS result, coalesce(r.error, '') AS error, coalesce(r.model, '') AS model, r.dry,
       coalesce(r.input->>'subject', '') AS subject, left(coalesce(r.input->>'text', ''), 300) AS text,
       r.feedback_id AS feedback, f.run_id AS taught_on, c.run_id AS replays,
       extract(epoch FROM coalesce(r.ended_at, pocketlet.now()) - r.started_at)::float8 AS seconds,
       l.cost, l.input_tokens, l.output_tokens
  FROM pocketlet.run r JOIN pocketlet.agent a ON a.id = r.agent_id
  LEFT JOIN pocketlet.feedback f ON f.id = r.feedback_id
  LEFT JOIN pocketlet.cases c ON c.id = r.case_id
  CROSS JOIN LATERAL (SELECT coalesce(sum(l.cost), 0) AS cost, coalesce(sum(l.input_tokens), 0) AS input_tokens,
                             coalesce(sum(l.output_tokens), 0) AS output_tokens
                        FROM pocketlet.ledger l WHERE l.run_id = r.id) l
 WHERE r.id = %(run)s;

-- steps --
-- Its journal in short
SELECT s.seq, coalesce(s.tool, '') AS tool, coalesce(s.error, '') AS error, CASE s.kind WHEN 'tool' THEN s.request END AS request,
       s.meta, left(s.response #>> '{}', 20) AS response, e.state AS effect_state, q.state AS answer,
       coalesce((s.meta->>'seconds')::float8, 0) AS seconds,
       coalesce((SELECT sum(l.cost) FROM pocketlet.ledger l WHERE l.run_id = s.run_id AND l.step_seq = s.seq), 0) AS cost
  FROM pocketlet.step s
  LEFT JOIN pocketlet.effect e ON e.run_id = s.run_id AND e.step_seq = s.seq AND e.state <> 'replaced'
  LEFT JOIN LATERAL (SELECT q.state FROM pocketlet.approval q WHERE q.effect_id = coalesce(e.replaces, e.id)
                      ORDER BY q.id DESC LIMIT 1) q ON true
 WHERE s.run_id = %(run)s ORDER BY s.seq LIMIT %(limit)s;

-- letter --
-- The last mail that it wrote, whatever became of it
SELECT e.destination, e.state, coalesce(e.request->>'subject', '') AS subject, coalesce(e.request->>'body', '') AS body
  FROM pocketlet.effect e WHERE e.run_id = %(run)s AND e.kind = 'mail' AND e.state <> 'replaced' ORDER BY e.id DESC LIMIT 1;

-- seen --
-- Opened, now
INSERT INTO pocketlet.seen (owner_id, run_id) VALUES (%(owner)s, %(run)s)
ON CONFLICT (owner_id, run_id) DO UPDATE SET at = pocketlet.now();

-- unseen --
-- To be read once more
DELETE FROM pocketlet.seen WHERE owner_id = %(owner)s AND run_id = %(run)s;

-- seen_all --
-- Of one agent, or of all; what is under way stays as it is
INSERT INTO pocketlet.seen (owner_id, run_id)
SELECT %(owner)s, r.id FROM pocketlet.run r JOIN pocketlet.agent a ON a.id = r.agent_id
 WHERE a.owner_id = %(owner)s AND (%(agent)s::bigint IS NULL OR a.id = %(agent)s) AND r.state IN ('done', 'failed', 'stopped')
   AND NOT EXISTS (SELECT FROM pocketlet.seen s WHERE s.run_id = r.id AND s.owner_id = %(owner)s
                      AND (r.state <> 'failed' OR s.at >= r.ended_at))
ON CONFLICT (owner_id, run_id) DO UPDATE SET at = pocketlet.now();

-- triggers --
-- Names that the owner's triggers have, or had
SELECT DISTINCT t.name FROM pocketlet.trigger t JOIN pocketlet.agent a ON a.id = t.agent_id
 WHERE a.owner_id = %(owner)s ORDER BY t.name LIMIT 200;

-- filters --
-- The owner's own
SELECT name, query FROM pocketlet.saved_filter WHERE owner_id = %(owner)s ORDER BY name;

-- save --
-- Over the one of that name; not without end
INSERT INTO pocketlet.saved_filter (owner_id, name, query)
SELECT %(owner)s, %(name)s, %(query)s
 WHERE (SELECT count(*) FROM pocketlet.saved_filter f WHERE f.owner_id = %(owner)s AND f.name <> %(name)s) < %(most)s
ON CONFLICT (owner_id, name) DO UPDATE SET query = excluded.query, at = pocketlet.now()
RETURNING name;

-- remove --
-- By its name
DELETE FROM pocketlet.saved_filter WHERE owner_id = %(owner)s AND name = %(name)s RETURNING name;
