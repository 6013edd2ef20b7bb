-- grants --
-- Of one connection: the owner's agents that may use it, and how many agents of others may
SELECT coalesce(array_agg(a.name ORDER BY a.name) FILTER (WHERE a.owner_id = %(owner)s), '{}') AS agents,
       count(*) FILTER (WHERE a.owner_id <> %(owner)s) AS others,
       min(g.review_on) FILTER (WHERE a.owner_id = %(owner)s) AS review_on
  FROM pocketlet.connection_grant g JOIN pocketlet.agent a ON a.id = g.agent_id WHERE g.connection_id = %(id)s;

-- uses --
-- Calls of the owner's agents over a connection, the newest first: each was decided on, and is in the audit trail
SELECT u.id, u.at, u.agent, u.run_id AS run, u.step_seq AS seq, coalesce(u.verdict, '') AS verdict, coalesce(u.rule, '') AS rule, e.state AS effect,
       CASE WHEN s.kind = 'tool' THEN substring(s.response #>> '{}' FROM '^HTTP ([0-9]{3})')::int END AS status,
       s.error IS NOT NULL AS error, split_part(u.subject, '): ', 2) AS call
  FROM pocketlet.agent a
  JOIN LATERAL (SELECT * FROM pocketlet.audit u
                 WHERE u.agent = a.name AND u.agent_id = a.id AND u.action = 'effect.decide'
                   AND starts_with(u.subject, %(name)s || ' (') AND (%(below)s::bigint IS NULL OR u.id < %(below)s)
                 ORDER BY u.id DESC LIMIT %(limit)s) u ON true
  LEFT JOIN pocketlet.step s ON s.run_id = u.run_id AND s.seq = u.step_seq
  LEFT JOIN pocketlet.effect e ON e.run_id = u.run_id AND e.step_seq = u.step_seq AND e.state <> 'replaced'
 WHERE a.owner_id = %(owner)s AND (%(agent)s::bigint IS NULL OR a.id = %(agent)s)
 ORDER BY u.id DESC LIMIT %(limit)s;

-- today --
-- Calls of this UTC day
SELECT calls FROM pocketlet.connection_use WHERE connection_id = %(id)s AND day = (pocketlet.now() AT TIME ZONE 'UTC')::date;

-- mine --
-- Whether an agent of this owner may use it
SELECT FROM pocketlet.connection_grant g JOIN pocketlet.agent a ON a.id = g.agent_id
 WHERE g.connection_id = %(id)s AND a.owner_id = %(owner)s LIMIT 1;

-- secrets --
-- Names, never values: with the owner's agents that may use each, and how many of others may
SELECT s.name, s.created_at, s.changed_at, s.last_used_at,
       coalesce(array_agg(a.name ORDER BY a.name) FILTER (WHERE a.owner_id = %(owner)s), '{}') AS agents,
       count(a.id) FILTER (WHERE a.owner_id <> %(owner)s) AS others
  FROM pocketlet.secret s
  LEFT JOIN pocketlet.secret_grant g ON g.name = s.name LEFT JOIN pocketlet.agent a ON a.id = g.agent_id
 GROUP BY s.name ORDER BY s.name;
