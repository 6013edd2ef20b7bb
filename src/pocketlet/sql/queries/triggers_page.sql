-- slots --
-- Of an agent (of one trigger), the newest first; a list is one row
SELECT s.id AS slot, t.name AS trigger, t.kind, s.key, s.state, s.reason, s.stands_for, s.due_at, s.started_at, s.ended_at,
       s.run_id AS run, s.replays, s.items, coalesce(length(s.body), 0) AS bytes, coalesce(s.about->>'sender', '') AS sender
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id
 WHERE s.agent_id = %(agent)s AND s.parent IS NULL AND (%(trigger)s::bigint IS NULL OR s.trigger_id = %(trigger)s)
   AND (%(after)s::bigint IS NULL OR s.id < %(after)s)
 ORDER BY s.id DESC LIMIT %(limit)s;

-- slot --
-- One, with what came
SELECT s.id AS slot, t.name AS trigger, t.kind, s.key, s.state, s.reason, s.stands_for, s.due_at, s.started_at, s.ended_at,
       s.run_id AS run, s.replays, s.items, coalesce(length(s.body), 0) AS bytes, coalesce(s.about->>'sender', '') AS sender,
       substr(s.body, 1, %(most)s) AS body, s.about, s.parent, s.position
  FROM pocketlet.slot s JOIN pocketlet.trigger t ON t.id = s.trigger_id WHERE s.id = %(slot)s;
