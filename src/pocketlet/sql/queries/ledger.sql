-- reserve --
-- From every scope or from none
SELECT pocketlet.reserve(%(entry)s, %(caps)s) AS id;

-- settle --
-- What it really cost
SELECT pocketlet.settle(%(id)s, %(state)s, %(used)s);

-- note --
-- Why a reservation stays open
UPDATE pocketlet.ledger SET error = %(error)s WHERE id = %(id)s;

-- spent --
-- What the agent's own runs cost since then
SELECT coalesce(sum(cost), 0) AS cost_usd
  FROM pocketlet.ledger WHERE agent_id = %(agent)s AND kind = 'run' AND at >= %(since)s;

-- costs --
-- Where the money went
SELECT agent, kind, model, (at AT TIME ZONE 'UTC')::date AS day, count(*) AS calls, count(DISTINCT run_id) AS runs,
       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens,
       sum(cost) AS cost_usd, coalesce(sum(reserved) FILTER (WHERE state = 'reserved'), 0) AS uncertain_usd
  FROM pocketlet.ledger
 WHERE %(agent)s::bigint IS NULL OR agent_id = %(agent)s
 GROUP BY agent, kind, model, (at AT TIME ZONE 'UTC')::date
 ORDER BY day DESC, agent, kind, model;

-- of_run --
-- One run's share
SELECT count(*) AS calls, coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
       coalesce(sum(cached_tokens), 0) AS cached_tokens, coalesce(sum(cost), 0) AS cost_usd,
       coalesce(sum(reserved) FILTER (WHERE state = 'reserved'), 0) AS uncertain_usd
  FROM pocketlet.ledger WHERE run_id = %(run)s;
