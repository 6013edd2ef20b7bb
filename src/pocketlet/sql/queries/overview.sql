-- agents --
-- An owner's agents, each with its manifest in force and what is under way; money of the UTC day. Trials and curations are
-- no runs of theirs
WITH today AS (SELECT date_trunc('day', pocketlet.now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' AS began)
SELECT a.name, a.current, v.manifest,
       (SELECT count(*) FROM pocketlet.run r WHERE r.agent_id = a.id AND r.kind = 'run') AS runs,
       (SELECT max(r.created_at) FROM pocketlet.run r WHERE r.agent_id = a.id AND r.kind = 'run') AS last_run_at,
       (SELECT count(*) FROM pocketlet.run r WHERE r.agent_id = a.id AND r.state IN ('queued', 'running')) AS under_way,
       (SELECT count(*) FROM pocketlet.run r, today WHERE r.agent_id = a.id AND r.kind = 'run' AND r.state = 'failed'
           AND r.ended_at >= today.began) AS failed_today,
       (SELECT coalesce(sum(l.cost), 0) FROM pocketlet.ledger l, today WHERE l.agent_id = a.id AND l.at >= today.began)
         AS spent_today
  FROM pocketlet.agent a JOIN pocketlet.revision v ON v.agent_id = a.id AND v.n = a.current
 WHERE a.owner_id = %(owner)s ORDER BY a.name;

-- rail --
-- No more of them than what stands beside every page
SELECT a.name, (SELECT count(*) FROM pocketlet.run r WHERE r.agent_id = a.id AND r.state IN ('queued', 'running')) AS under_way
  FROM pocketlet.agent a WHERE a.owner_id = %(owner)s ORDER BY a.name;

-- waits --
-- How much waits for the owner, by agent: what `home.waiting` lists, each once
SELECT a.name, count(*) AS waits
  FROM pocketlet.agent a
  CROSS JOIN LATERAL (
    SELECT FROM pocketlet.approval q JOIN pocketlet.effect e ON e.id = q.effect_id JOIN pocketlet.run r ON r.id = e.run_id
     WHERE r.agent_id = a.id AND q.state = 'pending' AND q.expires_at > pocketlet.now() AND r.state NOT IN ('stopped', 'failed')
    UNION ALL
    SELECT FROM pocketlet.revision_state s WHERE s.agent_id = a.id AND s.state = 'asked'
    UNION ALL
    SELECT FROM pocketlet.incoming i JOIN pocketlet.run r ON r.id = i.run_id WHERE r.agent_id = a.id AND i.state = 'unproven') w
 WHERE a.owner_id = %(owner)s GROUP BY a.name;
