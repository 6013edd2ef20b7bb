-- agents --
-- What each of an owner's agents did in the last hours; money of the UTC day
WITH span AS (SELECT pocketlet.now() - make_interval(hours => %(hours)s) AS began,
                     date_trunc('day', pocketlet.now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS day)
SELECT a.id, a.name, coalesce(a.current, 0) AS current, r.*, e.*,
       EXISTS (SELECT FROM pocketlet.run o WHERE o.agent_id = a.id AND o.kind = 'run') AS ever,
       (SELECT count(*) FROM pocketlet.decision d, span
         WHERE d.agent_id = a.id AND d.verdict = 'adopt' AND d.at >= span.began) AS learned,
       (SELECT coalesce(sum(l.cost), 0) FROM pocketlet.ledger l, span WHERE l.agent_id = a.id AND l.at >= span.day) AS spent_today
  FROM pocketlet.agent a
  CROSS JOIN LATERAL (
    SELECT count(*) AS runs, count(*) FILTER (WHERE r.state = 'done') AS done,
           count(*) FILTER (WHERE r.state = 'failed') AS failed, count(*) FILTER (WHERE r.state = 'stopped') AS stopped,
           count(*) FILTER (WHERE r.state IN ('queued', 'running')) AS under_way
      FROM pocketlet.run r, span WHERE r.agent_id = a.id AND r.kind = 'run'
       AND (r.created_at >= span.began OR r.state IN ('queued', 'running'))) r
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE e.state = 'succeeded' AND e.kind = 'mail') AS mails,
           count(*) FILTER (WHERE e.state = 'succeeded' AND e.kind <> 'mail' AND e.class <> 'read') AS acts,
           count(*) FILTER (WHERE e.state = 'blocked') AS blocked, count(*) FILTER (WHERE e.state = 'refused') AS refused,
           count(*) FILTER (WHERE e.state = 'unknown') AS unknown
      FROM pocketlet.effect e JOIN pocketlet.run r ON r.id = e.run_id, span
     WHERE e.agent_id = a.id AND r.kind = 'run' AND e.created_at >= span.began) e
 WHERE a.owner_id = %(owner)s ORDER BY a.name;

-- waiting --
-- Questions, drafts that the gate left to the owner, and answers that may be hers; the oldest first. `overview.waits` counts
-- the same
SELECT * FROM (
  SELECT 'approval' AS kind, q.id AS number, a.name AS agent, r.id AS run, e.tool, e.destination AS about, q.question,
         q.created_at AS since, q.expires_at AS until
    FROM pocketlet.approval q JOIN pocketlet.effect e ON e.id = q.effect_id JOIN pocketlet.run r ON r.id = e.run_id
    JOIN pocketlet.agent a ON a.id = r.agent_id
   WHERE a.owner_id = %(owner)s AND q.state = 'pending' AND q.expires_at > pocketlet.now() AND r.state NOT IN ('stopped', 'failed')
  UNION ALL
  SELECT 'revision', v.n, a.name, v.run_id, '', v.reason, '', v.created_at, NULL
    FROM pocketlet.revision_state s JOIN pocketlet.revision v ON v.agent_id = s.agent_id AND v.n = s.n
    JOIN pocketlet.agent a ON a.id = s.agent_id
   WHERE a.owner_id = %(owner)s AND s.state = 'asked'
  UNION ALL
  SELECT 'reply', i.id, a.name, i.run_id, '', left(i.words, 300), '', i.created_at, NULL
    FROM pocketlet.incoming i JOIN pocketlet.run r ON r.id = i.run_id JOIN pocketlet.agent a ON a.id = r.agent_id
   WHERE a.owner_id = %(owner)s AND i.state = 'unproven'
) w ORDER BY since, kind, number LIMIT %(limit)s;

-- failed --
-- Runs that failed, and that the owner has not looked at since
SELECT r.id AS run, a.name AS agent, r.kind, coalesce(r.input->>'subject', '') AS subject,
       left(coalesce(r.input->>'text', ''), 300) AS text, r.feedback_id AS feedback, NULL AS taught_on, NULL AS replays,
       r.revision, coalesce(r.error, '') AS error, coalesce(r.hint, '') AS hint, r.ended_at
  FROM pocketlet.run r JOIN pocketlet.agent a ON a.id = r.agent_id
 WHERE a.owner_id = %(owner)s AND r.state = 'failed' AND r.kind IN ('run', 'manager')
   AND r.ended_at > pocketlet.now() - interval '30 days'
   AND NOT EXISTS (SELECT FROM pocketlet.seen s WHERE s.run_id = r.id AND s.owner_id = %(owner)s AND s.at >= r.ended_at)
 ORDER BY r.id DESC LIMIT %(limit)s;

-- held --
-- Of runs that ended so: the last act that was not let out
SELECT r.id AS run, a.name AS agent, r.state, r.outcome,
       h.state AS held, h.tool AS held_tool, h.destination AS held_to, h.answer AS held_answer
  FROM pocketlet.run r JOIN pocketlet.agent a ON a.id = r.agent_id
  JOIN LATERAL (SELECT * FROM pocketlet.held_act h WHERE h.run_id = r.id) h ON true
 WHERE r.id = ANY (%(runs)s) AND r.outcome = 'blocked';
