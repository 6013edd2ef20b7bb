-- observed --
-- What each trigger brought in the last days, how much of it became runs, and what those cost
SELECT a.name AS agent, t.id AS trigger_id, t.name AS trigger, t.kind, t.spec, t.paused,
       count(s.id) FILTER (WHERE s.parent IS NULL) AS slots, count(s.run_id) AS runs, coalesce(sum(l.cost), 0) AS cost_usd,
       greatest(1, extract(epoch FROM pocketlet.now() - greatest(t.created_at, pocketlet.now() - make_interval(days => %(days)s)))
                   / 86400)::float AS days
  FROM pocketlet.trigger t JOIN pocketlet.agent a ON a.id = t.agent_id
  LEFT JOIN pocketlet.slot s ON s.trigger_id = t.id AND s.recorded_at > pocketlet.now() - make_interval(days => %(days)s)
        AND s.stands_for = 1
  LEFT JOIN LATERAL (SELECT sum(cost) AS cost FROM pocketlet.ledger WHERE run_id = s.run_id) l ON true
 WHERE t.active AND (%(agent)s::bigint IS NULL OR t.agent_id = %(agent)s)
 GROUP BY a.name, t.id ORDER BY a.name, t.name;

-- beside --
-- What was spent beside the triggers' runs: by hand, on learning
SELECT l.agent, l.kind, coalesce(sum(l.cost), 0) AS cost_usd,
       greatest(1, extract(epoch FROM pocketlet.now() - greatest(min(a.created_at), pocketlet.now() - make_interval(days => %(days)s)))
                   / 86400)::float AS days
  FROM pocketlet.ledger l JOIN pocketlet.agent a ON a.id = l.agent_id
 WHERE l.at > pocketlet.now() - make_interval(days => %(days)s) AND (%(agent)s::bigint IS NULL OR l.agent_id = %(agent)s)
   AND NOT EXISTS (SELECT FROM pocketlet.slot s WHERE s.run_id = l.run_id)
 GROUP BY l.agent, l.kind ORDER BY l.agent, l.kind;
