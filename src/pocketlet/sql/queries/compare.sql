-- calls --
-- The model calls of recorded runs
SELECT run_id AS run, input_tokens, output_tokens FROM pocketlet.ledger WHERE run_id = ANY (%(runs)s) AND state = 'settled';

-- spent --
-- Of the agent's day so far, with what may still be billed
SELECT coalesce(sum(CASE state WHEN 'reserved' THEN reserved ELSE cost END), 0) AS usd
  FROM pocketlet.ledger WHERE agent_id = %(agent)s AND at >= %(since)s;

-- last_trial --
-- The last that a model did of a case with a revision, before a run
SELECT t.run_id AS run FROM pocketlet.trial t JOIN pocketlet.run r ON r.id = t.run_id
 WHERE t.case_id = %(case)s AND t.revision = %(revision)s AND r.model = %(model)s AND t.verdict IN ('pass', 'fail')
   AND (%(below)s::bigint IS NULL OR t.run_id < %(below)s)
 ORDER BY t.id DESC LIMIT 1;
