-- head --
-- A run of the owner's, with what started it; of a trial, the run that it does again; of learning, what it has drafted; the
-- last act that was not let out
SELECT r.id AS run, g.name AS agent, coalesce(g.current, 0) AS current, r.kind, r.revision, r.outcome, r.result, r.error, r.hint,
       r.input, coalesce(r.input->>'subject', '') AS subject, coalesce(r.input->>'text', '') AS text, r.facts, r.label, r.model, r.briefing, r.briefing_hash, r.lessons, r.dry, r.created_at, r.started_at, r.ended_at,
       h.state AS held, h.tool AS held_tool, h.destination AS held_to, h.answer AS held_answer,
       (SELECT max(v.n) FROM pocketlet.revision v WHERE v.agent_id = r.agent_id AND v.run_id = r.id) AS drafted,
       t.name AS trigger, r.feedback_id AS feedback, f.run_id AS taught_on, c.run_id AS replays, o.model AS replayed_model,
       (SELECT sum(l.cost) FROM pocketlet.ledger l WHERE l.run_id = c.run_id) AS replayed_usd
  FROM pocketlet.run r JOIN pocketlet.agent g ON g.id = r.agent_id
  LEFT JOIN pocketlet.feedback f ON f.id = r.feedback_id
  LEFT JOIN pocketlet.cases c ON c.id = r.case_id LEFT JOIN pocketlet.run o ON o.id = c.run_id
  LEFT JOIN LATERAL (SELECT t.name FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id
                      WHERE s.run_id = r.id ORDER BY s.id LIMIT 1) t ON true
  LEFT JOIN LATERAL (SELECT * FROM pocketlet.held_act h WHERE h.run_id = r.id) h
    ON r.outcome = 'blocked' OR r.dry OR r.kind = 'trial'
 WHERE r.id = %(run)s AND g.owner_id = %(owner)s;

-- standing --
-- How it stands, without a look at more than one of its steps: this is asked ten times a second
SELECT r.state, r.outcome, r.error, r.stop_requested,
       CASE WHEN r.outcome = 'blocked' THEN
         (SELECT CASE WHEN h.state = 'refused' THEN coalesce(h.answer, 'refused') ELSE h.state END
            FROM pocketlet.held_act h WHERE h.run_id = r.id)
       END AS held,
       b.cap, b.spent, b.reserved,
       coalesce((SELECT max(s.seq) FROM pocketlet.step s WHERE s.run_id = r.id), 0) AS steps,
       ARRAY(SELECT q.id FROM pocketlet.effect e JOIN pocketlet.approval q ON q.effect_id = e.id AND q.state = 'pending'
              WHERE e.run_id = r.id AND e.state <> 'replaced' ORDER BY q.id) AS waits
  FROM pocketlet.run r JOIN pocketlet.agent g ON g.id = r.agent_id LEFT JOIN pocketlet.budget b ON b.scope = 'run:' || r.id
 WHERE r.id = %(run)s AND g.owner_id = %(owner)s;

-- worked --
-- The seconds of its steps, and up to which one; waiting for the owner is no work
SELECT coalesce(max(s.seq), 0) AS steps, coalesce(sum((s.meta->>'seconds')::float8), 0) AS seconds
  FROM pocketlet.step s WHERE s.run_id = %(run)s;

-- steps --
-- Some steps with what they did outside, and what their model calls cost: numbers have no gaps
SELECT s.seq, s.kind, s.tool, s.request, CASE s.kind WHEN 'model' THEN s.response - 'message' ELSE s.response END AS response,
       s.error, s.label, s.meta, s.at, coalesce(l.cost_usd, 0) AS cost_usd, coalesce(l.uncertain_usd, 0) AS uncertain_usd,
       e.id AS effect, e.kind AS effect_kind, e.class AS effect_class, e.state AS effect_state, e.destination, e.rule,
       e.response AS said, e.request AS asked, q.state AS answer, q.because
  FROM pocketlet.step s
  LEFT JOIN (SELECT step_seq, sum(cost) AS cost_usd, sum(reserved) FILTER (WHERE state = 'reserved') AS uncertain_usd
               FROM pocketlet.ledger WHERE run_id = %(run)s AND step_seq BETWEEN %(first)s AND %(last)s GROUP BY step_seq) l
    ON l.step_seq = s.seq
  LEFT JOIN pocketlet.effect e ON e.run_id = s.run_id AND e.step_seq = s.seq AND e.state <> 'replaced'
  LEFT JOIN LATERAL (SELECT q.state, q.because FROM pocketlet.approval q WHERE q.effect_id = coalesce(e.replaces, e.id)
                      ORDER BY q.id DESC LIMIT 1) q ON true
 WHERE s.run_id = %(run)s AND s.seq BETWEEN %(first)s AND %(last)s ORDER BY s.seq;

-- dearest --
-- Where the money went
SELECT step_seq AS seq, sum(cost) AS cost_usd, sum(input_tokens) AS input, sum(output_tokens) AS output, 0.0::float8 AS seconds
  FROM pocketlet.ledger WHERE run_id = %(run)s GROUP BY step_seq HAVING sum(cost) > 0 ORDER BY 2 DESC, 1 LIMIT %(limit)s;

-- slowest --
-- Where the time went
SELECT s.seq, 0::numeric AS cost_usd, 0 AS input, 0 AS output, (s.meta->>'seconds')::float8 AS seconds
  FROM pocketlet.step s WHERE s.run_id = %(run)s AND s.meta ? 'seconds' ORDER BY 5 DESC, 1 LIMIT %(limit)s;

-- effects --
-- What it did outside, or wanted to; the newest ones of very many
SELECT * FROM (
  SELECT e.id, e.step_seq AS seq, e.tool, e.kind, e.class, e.state, e.destination, e.rule, e.attempt AS attempts, e.changed_at,
         coalesce((SELECT q.state FROM pocketlet.approval q WHERE q.effect_id = coalesce(e.replaces, e.id)
                    ORDER BY q.id DESC LIMIT 1), '') AS answer
    FROM pocketlet.effect e WHERE e.run_id = %(run)s ORDER BY e.id DESC LIMIT %(limit)s) newest ORDER BY id;

-- touched --
-- What it came near, and how often
SELECT 'table' AS what, CASE t.name WHEN 'run' THEN 'runs' WHEN 'memories_before' THEN 'memories' ELSE t.name END AS name, count(*) AS times, min(s.seq) AS first
  FROM pocketlet.step s CROSS JOIN LATERAL jsonb_array_elements_text(s.meta->'tables') AS t (name)
 WHERE s.run_id = %(run)s GROUP BY 2
UNION ALL
SELECT CASE s.tool WHEN 'skill' THEN 'skill' WHEN 'http' THEN 'connection' WHEN 'attachment' THEN 'attachment' ELSE 'memory' END,
       coalesce(s.request->>'connection', s.request->>'name', 'memories'), count(*), min(s.seq)
  FROM pocketlet.step s WHERE s.run_id = %(run)s AND s.tool IN ('skill', 'http', 'attachment', 'remember') AND s.error IS NULL
 GROUP BY 1, 2
UNION ALL
SELECT 'server', split_part(s.tool, '__', 1), count(*), min(s.seq)
  FROM pocketlet.step s WHERE s.run_id = %(run)s AND position('__' IN s.tool) > 1 AND s.error IS NULL GROUP BY 2
UNION ALL
SELECT 'address', e.destination, count(*), min(e.step_seq)
  FROM pocketlet.effect e WHERE e.run_id = %(run)s AND e.kind = 'mail' AND e.state = 'succeeded' GROUP BY 2
ORDER BY 4, 1, 2;
