-- held_back --
-- How many of the runs that a trigger started ended because something was not let out; a list is one thing
SELECT a.name AS agent, t.name AS trigger, count(*) AS runs
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id JOIN pocketlet.agent a ON a.id = t.agent_id
  JOIN pocketlet.run r ON r.id = s.run_id
 WHERE a.owner_id = %(owner)s AND s.due_at > pocketlet.now() - make_interval(hours => %(hours)s)
   AND s.state = 'failed' AND s.parent IS NULL AND r.outcome = 'blocked' GROUP BY a.name, t.name;

-- slots --
-- Of an agent (of one trigger), the newest first; a list is one row. held: of a run that ended so, the last act that was
-- not let out
SELECT s.id AS slot, t.name AS trigger, t.kind, s.key, s.state, s.reason, s.stands_for, s.due_at, s.started_at, s.ended_at,
       s.run_id AS run, s.replays, s.items, coalesce(length(s.body), 0) AS bytes, coalesce(s.about->>'sender', '') AS sender,
       a.name AS agent, coalesce(r.outcome, '') AS outcome, r.state AS run_state,
       h.state AS held, h.tool AS held_tool, h.destination AS held_to, h.answer AS held_answer
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id JOIN pocketlet.agent a ON a.id = s.agent_id
  LEFT JOIN pocketlet.run r ON r.id = s.run_id
  LEFT JOIN LATERAL (SELECT * FROM pocketlet.held_act h WHERE h.run_id = r.id) h ON r.outcome = 'blocked'
 WHERE s.agent_id = %(agent)s AND s.parent IS NULL AND (%(trigger)s::bigint IS NULL OR s.trigger_id = %(trigger)s)
   AND (%(after)s::bigint IS NULL OR s.id < %(after)s)
 ORDER BY s.id DESC LIMIT %(limit)s;

-- slot --
-- One, with what came
SELECT s.id AS slot, t.name AS trigger, t.kind, s.key, s.state, s.reason, s.stands_for, s.due_at, s.started_at, s.ended_at,
       s.run_id AS run, s.replays, s.items, coalesce(length(s.body), 0) AS bytes, coalesce(s.about->>'sender', '') AS sender,
       substr(s.body, 1, %(most)s) AS body, s.about, s.parent, s.position,
       a.name AS agent, coalesce(r.outcome, '') AS outcome, r.state AS run_state,
       h.state AS held, h.tool AS held_tool, h.destination AS held_to, h.answer AS held_answer
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id JOIN pocketlet.agent a ON a.id = s.agent_id
  LEFT JOIN pocketlet.run r ON r.id = s.run_id
  LEFT JOIN LATERAL (SELECT * FROM pocketlet.held_act h WHERE h.run_id = r.id) h ON r.outcome = 'blocked'
 WHERE s.id = %(slot)s;
