-- spent --
-- Where an owner's money went since a day, each way that it can be told; what removed agents cost is the keeper's
SELECT CASE WHEN GROUPING(n.name) = 0 THEN 'agent' WHEN GROUPING(l.model) = 0 THEN 'model'
            WHEN GROUPING(l.kind) = 0 THEN 'kind' ELSE 'total' END AS by,
       coalesce(n.name, l.model, l.kind, '') AS name, count(*) AS calls, count(DISTINCT l.run_id) AS runs,
       coalesce(sum(l.cost), 0) AS cost, coalesce(sum(l.reserved) FILTER (WHERE l.state = 'reserved'), 0) AS uncertain,
       coalesce(sum(l.input_tokens), 0) AS input_tokens, coalesce(sum(l.output_tokens), 0) AS output_tokens,
       coalesce(sum(l.cached_tokens), 0) AS cached_tokens
  FROM pocketlet.ledger l LEFT JOIN pocketlet.agent a ON a.id = l.agent_id
  CROSS JOIN LATERAL (SELECT CASE WHEN a.id IS NULL THEN l.agent || ' (removed)' ELSE a.name END AS name) n
 WHERE l.at >= %(since)s AND (a.owner_id = %(owner)s OR (l.agent_id IS NULL AND %(keeper)s AND %(agent)s::bigint IS NULL))
   AND (%(agent)s::bigint IS NULL OR l.agent_id = %(agent)s)
 GROUP BY GROUPING SETS ((n.name), (l.model), (l.kind), ()) ORDER BY cost DESC, name;

-- days --
-- Each UTC day from the first one to today, also those on which nothing was spent
SELECT d.day::date AS day, coalesce(s.cost, 0) AS cost, coalesce(s.runs, 0) AS runs
  FROM generate_series(%(since)s::timestamptz AT TIME ZONE 'UTC', pocketlet.now() AT TIME ZONE 'UTC', interval '1 day') AS d (day)
  LEFT JOIN (
    SELECT (l.at AT TIME ZONE 'UTC')::date AS day, sum(l.cost) AS cost, count(DISTINCT l.run_id) AS runs
      FROM pocketlet.ledger l LEFT JOIN pocketlet.agent a ON a.id = l.agent_id
     WHERE l.at >= %(since)s AND (a.owner_id = %(owner)s OR (l.agent_id IS NULL AND %(keeper)s AND %(agent)s::bigint IS NULL))
       AND (%(agent)s::bigint IS NULL OR l.agent_id = %(agent)s) GROUP BY 1
  ) s ON s.day = d.day::date
 ORDER BY d.day;

-- today --
-- What an agent's UTC day has taken of its budget, and what may still be billed
SELECT coalesce(sum(b.spent), 0) AS spent, coalesce(sum(b.reserved), 0) AS reserved
  FROM pocketlet.budget b WHERE b.scope = 'agent:' || %(agent)s::bigint || ':' || %(day)s::text;

-- useful --
-- Runs of an agent, those among them that did their work and that nobody called wrong, and all that the agent cost
SELECT count(*) AS runs,
       count(*) FILTER (WHERE r.state = 'done' AND r.outcome IN ('done', 'nothing_to_do') AND v.verdict IS DISTINCT FROM 'wrong')
         AS useful,
       (SELECT coalesce(sum(l.cost), 0) FROM pocketlet.ledger l WHERE l.agent_id = %(agent)s AND l.at >= %(since)s) AS spent
  FROM pocketlet.run r
  LEFT JOIN LATERAL (SELECT f.verdict FROM pocketlet.feedback f
                      WHERE f.run_id = r.id AND NOT f.about ? 'table' ORDER BY f.id DESC LIMIT 1) v ON true
 WHERE r.agent_id = %(agent)s AND r.kind = 'run' AND NOT r.dry AND r.created_at >= %(since)s
   AND r.state IN ('done', 'failed', 'stopped');

-- dearest --
-- The runs that cost most
SELECT r.id AS run, a.name AS agent, r.kind, r.revision, coalesce(r.input->>'subject', '') AS subject,
       left(coalesce(r.input->>'text', ''), 300) AS text, r.feedback_id AS feedback, f.run_id AS taught_on, c.run_id AS replays,
       l.cost
  FROM (SELECT l.run_id, sum(l.cost) AS cost FROM pocketlet.ledger l JOIN pocketlet.agent a ON a.id = l.agent_id
         WHERE a.owner_id = %(owner)s AND l.at >= %(since)s AND (%(agent)s::bigint IS NULL OR l.agent_id = %(agent)s)
           AND l.cost > 0 GROUP BY l.run_id ORDER BY sum(l.cost) DESC LIMIT %(limit)s) l
  JOIN pocketlet.run r ON r.id = l.run_id JOIN pocketlet.agent a ON a.id = r.agent_id
  LEFT JOIN pocketlet.feedback f ON f.id = r.feedback_id LEFT JOIN pocketlet.cases c ON c.id = r.case_id
 ORDER BY l.cost DESC, r.id;

-- observed --
-- What the calls of an agent's own runs took, apart by the lengths at which a model's price changes
SELECT width_bucket(l.input_tokens, %(lengths)s::int[]) AS tier, count(*) AS calls, coalesce(sum(l.input_tokens), 0) AS input,
       coalesce(sum(l.output_tokens), 0) AS output, coalesce(sum(l.cost), 0) AS cost
  FROM pocketlet.ledger l JOIN pocketlet.agent a ON a.id = l.agent_id
 WHERE a.owner_id = %(owner)s AND (%(agent)s::bigint IS NULL OR a.id = %(agent)s) AND l.kind = 'run' AND l.state = 'settled'
   AND l.at >= %(since)s GROUP BY 1 ORDER BY 1;

-- observed_runs --
-- How many runs those are
SELECT count(DISTINCT l.run_id) AS runs FROM pocketlet.ledger l JOIN pocketlet.agent a ON a.id = l.agent_id
 WHERE a.owner_id = %(owner)s AND (%(agent)s::bigint IS NULL OR a.id = %(agent)s) AND l.kind = 'run' AND l.state = 'settled'
   AND l.at >= %(since)s;
