-- due_soon --
-- Connections whose agents have a schedule that falls due within these seconds
SELECT DISTINCT c.name, t.agent_id FROM pocketlet.trigger t
  JOIN pocketlet.connection_grant g ON g.agent_id = t.agent_id JOIN pocketlet.connection c ON c.id = g.connection_id
 WHERE t.kind = 'schedule' AND t.active AND t.paused IS NULL AND NOT c.off
   AND t.next_at < pocketlet.now() + make_interval(secs => %(seconds)s) ORDER BY c.name, t.agent_id;

-- any_due_soon --
-- Whether any schedule falls due within these seconds
SELECT FROM pocketlet.trigger t
 WHERE t.kind = 'schedule' AND t.active AND t.paused IS NULL
   AND t.next_at < pocketlet.now() + make_interval(secs => %(seconds)s) LIMIT 1;
