-- agents --
SELECT id, name, origin, coalesce(current, 0) AS current FROM pocketlet.agent WHERE owner_id = %(owner)s ORDER BY name;

-- run --
SELECT a.id, a.name, a.origin, coalesce(a.current, 0) AS current
  FROM pocketlet.run r JOIN pocketlet.agent a ON a.id = r.agent_id WHERE r.id = %(number)s AND a.owner_id = %(owner)s;

-- approval --
SELECT a.id, a.name, a.origin, coalesce(a.current, 0) AS current
  FROM pocketlet.approval q JOIN pocketlet.effect e ON e.id = q.effect_id JOIN pocketlet.run r ON r.id = e.run_id
  JOIN pocketlet.agent a ON a.id = r.agent_id
 WHERE q.id = %(number)s AND a.owner_id = %(owner)s;

-- feedback --
SELECT a.id, a.name, a.origin, coalesce(a.current, 0) AS current
  FROM pocketlet.feedback f JOIN pocketlet.agent a ON a.id = f.agent_id
 WHERE f.id = %(number)s AND a.owner_id = %(owner)s;

-- slot --
SELECT a.id, a.name, a.origin, coalesce(a.current, 0) AS current
  FROM pocketlet.slot s JOIN pocketlet.agent a ON a.id = s.agent_id WHERE s.id = %(number)s AND a.owner_id = %(owner)s;

-- rule --
SELECT a.id, a.name, a.origin, coalesce(a.current, 0) AS current
  FROM pocketlet.rule u JOIN pocketlet.agent a ON a.id = u.agent_id WHERE u.id = %(number)s AND a.owner_id = %(owner)s;

-- reply --
-- Whose run it is about; those about none that is left are the keeper's
SELECT a.id AS agent_id FROM pocketlet.incoming i LEFT JOIN pocketlet.run r ON r.id = i.run_id
  LEFT JOIN pocketlet.agent a ON a.id = r.agent_id
 WHERE i.id = %(number)s AND (i.run_id IS NULL OR a.owner_id = %(owner)s);

-- replies --
SELECT i.id AS reply, c.name AS channel, i.run_id AS run, coalesce(a.name, '') AS agent, i.words, i.created_at
  FROM pocketlet.incoming i JOIN pocketlet.channel c ON c.id = i.channel_id LEFT JOIN pocketlet.run r ON r.id = i.run_id
  LEFT JOIN pocketlet.agent a ON a.id = r.agent_id
 WHERE i.state = 'unproven' AND (a.owner_id = %(owner)s OR (i.run_id IS NULL AND %(keeper)s))
   AND (%(above)s::bigint IS NULL OR i.id > %(above)s)
 ORDER BY i.id LIMIT %(limit)s;

-- notice --
SELECT n.agent_id FROM pocketlet.notice n LEFT JOIN pocketlet.agent a ON a.id = n.agent_id
 WHERE n.id = %(number)s AND (n.agent_id IS NULL OR a.owner_id = %(owner)s);
