-- turns --
-- Turns of an agent's conversation, the newest first; or the one that is asked for
SELECT r.id AS run, r.created_at AS at, r.ended_at, r.input, r.state, r.label, r.result AS reply, r.error, r.hint,
       r.stop_requested AS stopping,
       coalesce((SELECT sum(l.cost) FROM pocketlet.ledger l WHERE l.run_id = r.id), 0) AS cost_usd
  FROM pocketlet.run r
 WHERE r.agent_id = %(agent)s AND r.kind = 'chat' AND (%(run)s::bigint IS NULL OR r.id = %(run)s)
   AND (%(below)s::bigint IS NULL OR r.id < %(below)s)
 ORDER BY r.id DESC LIMIT %(limit)s;
