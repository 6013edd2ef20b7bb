-- known --
-- The run of this revision on a past mail, so that a backtest which was cut short goes on where it was
SELECT id FROM pocketlet.run
 WHERE agent_id = %(agent)s AND kind = 'trial' AND revision = %(revision)s AND case_id IS NULL AND curation IS NULL
   AND input->>'message_id' = %(message_id)s AND (%(ended)s OR state NOT IN ('failed', 'stopped'))
 ORDER BY id DESC LIMIT 1;

-- learned --
-- What the real answer has become
SELECT id FROM pocketlet.feedback WHERE run_id = %(run)s AND source = 'backtest' ORDER BY id LIMIT 1;

-- cost --
-- In USD
SELECT coalesce(sum(cost), 0) AS cost_usd FROM pocketlet.ledger WHERE run_id = %(run)s;
