-- holds_outside --
-- Whether any row that counted as of a version came from outside (by its partial index)
SELECT id FROM {schema}.{table}
 WHERE integrity = 'outside' AND v_from <= %(version)s AND (v_to IS NULL OR v_to > %(version)s) LIMIT 1;

-- ran_outside --
-- Whether any run of the agent has read text from outside, its own input included
SELECT id FROM pocketlet.run WHERE agent_id = %(agent)s AND label = 'outside' LIMIT 1;
