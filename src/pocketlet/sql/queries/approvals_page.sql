-- waiting --
-- Questions to an owner that can still be answered, the oldest first
SELECT a.id AS approval, 'waiting' AS state, a.question, a.why, a.because, a.request_hash, a.created_at, a.expires_at, a.decided_at,
       e.tool, e.kind, e.class, e.destination AS to, e.message, e.rule, e.replaces IS NOT NULL AS edited,
       r.id AS run, r.label, g.name AS agent
  FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
  JOIN pocketlet.run r ON r.id = e.run_id JOIN pocketlet.agent g ON g.id = r.agent_id
 WHERE g.owner_id = %(owner)s AND a.state = 'pending' AND a.expires_at > pocketlet.now()
   AND r.state NOT IN ('stopped', 'failed')
   AND (%(agent)s::bigint IS NULL OR g.id = %(agent)s) AND (%(run)s::bigint IS NULL OR r.id = %(run)s)
   AND (%(after)s::bigint IS NULL OR a.id > %(after)s)
 ORDER BY a.id LIMIT %(limit)s;

-- answered --
-- What was decided, or expired, the newest first. The yes that goes with an edit is the edit
SELECT a.id AS approval, CASE WHEN a.state = 'pending' THEN 'expired' ELSE a.state END AS state, a.question, a.why, a.because,
       a.request_hash, a.created_at, a.expires_at, a.decided_at,
       e.tool, e.kind, e.class, e.destination AS to, e.message, e.rule, e.replaces IS NOT NULL AS edited,
       r.id AS run, r.label, g.name AS agent
  FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
  JOIN pocketlet.run r ON r.id = e.run_id JOIN pocketlet.agent g ON g.id = r.agent_id
 WHERE g.owner_id = %(owner)s AND (a.state <> 'pending' OR a.expires_at <= pocketlet.now())
   AND NOT (a.question = 'send' AND e.replaces IS NOT NULL)
   AND (%(agent)s::bigint IS NULL OR g.id = %(agent)s) AND (%(run)s::bigint IS NULL OR r.id = %(run)s)
   AND (%(after)s::bigint IS NULL OR a.id < %(after)s)
 ORDER BY a.id DESC LIMIT %(limit)s;

-- one --
-- Whatever became of it
SELECT a.id AS approval, CASE WHEN a.state <> 'pending' THEN a.state WHEN a.expires_at <= pocketlet.now() THEN 'expired'
                              WHEN r.state IN ('stopped', 'failed') THEN 'withdrawn' ELSE 'waiting' END AS state,
       a.question, a.why, a.because, a.request_hash, a.created_at, a.expires_at, a.decided_at,
       e.tool, e.kind, e.class, e.destination AS to, e.message, e.rule, e.replaces IS NOT NULL AS edited,
       r.id AS run, r.label, g.name AS agent
  FROM pocketlet.approval a JOIN pocketlet.effect e ON e.id = a.effect_id
  JOIN pocketlet.run r ON r.id = e.run_id JOIN pocketlet.agent g ON g.id = r.agent_id
 WHERE a.id = %(approval)s;
