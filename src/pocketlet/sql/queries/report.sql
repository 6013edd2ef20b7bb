-- run --
-- Everything that the run's own row says
SELECT r.id AS run, g.name AS agent, r.kind, r.revision, r.state, r.outcome, r.result, r.error, r.hint, r.exit_code,
       r.input, r.facts, r.label, r.model, r.briefing, r.briefing_hash, r.overhead_tokens AS prompt_overhead_tokens,
       r.lessons, r.feedback_id AS curates, r.case_id AS case, r.created_at, r.started_at, r.ended_at
  FROM pocketlet.run r JOIN pocketlet.agent g ON g.id = r.agent_id WHERE r.id = %(run)s;

-- lessons --
-- The lessons of a briefing, and what the owner said when they were made
SELECT l.name, l.topic, l.body, l.predicate AS when, l.authority, l.since, l.feedback_id AS feedback,
       f.run_id AS taught_on_run, f.verdict, f.comment
  FROM pocketlet.lesson l LEFT JOIN pocketlet.feedback f ON f.id = l.feedback_id
 WHERE l.id = ANY (%(ids)s) ORDER BY l.name;

-- timings --
-- Of each step: when it was done, the seconds that it took (waiting for the owner aside), and what the model call cost
SELECT s.seq, s.kind, s.tool, s.error, s.at,
       coalesce((s.meta->>'seconds')::float8, 0) AS seconds, coalesce(l.cost_usd, 0) AS cost_usd
  FROM pocketlet.step s
  LEFT JOIN (SELECT step_seq, sum(cost) AS cost_usd FROM pocketlet.ledger WHERE run_id = %(run)s GROUP BY step_seq) l
    ON l.step_seq = s.seq
 WHERE s.run_id = %(run)s ORDER BY s.seq;

-- effects --
-- What the run did outside, or wanted to
SELECT e.id, e.step_seq AS seq, e.tool, e.kind, e.class, e.state, e.destination AS to, e.request, e.request_hash, e.rule, e.response,
       e.attempt AS attempts, e.created_at, e.changed_at
  FROM pocketlet.effect e WHERE e.run_id = %(run)s ORDER BY e.id;

-- feedback --
-- What the owner said about the run
SELECT f.id, f.verdict, f.comment, f.outcome, f.at FROM pocketlet.feedback f WHERE f.run_id = %(run)s ORDER BY f.id;

-- standing --
-- Where a run stands, and whether it has a question to the owner open
SELECT r.state, CASE WHEN r.state = 'queued' THEN r.error END AS put_off, EXISTS (
         SELECT FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
          WHERE e.run_id = r.id AND a.state = 'pending') AS asks
  FROM pocketlet.run r WHERE r.id = %(run)s;

-- overview --
-- Counts for the whole installation; money of the UTC day
SELECT count(*) FILTER (WHERE r.state = 'queued') AS queued, count(*) FILTER (WHERE r.state = 'running') AS running,
       count(*) FILTER (WHERE r.state = 'waiting') AS waiting, count(*) FILTER (WHERE r.state = 'failed') AS failed,
       (SELECT coalesce(sum(l.cost), 0) FROM pocketlet.ledger l
         WHERE l.at >= date_trunc('day', pocketlet.now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') AS spend_today_usd
  FROM pocketlet.run r;
