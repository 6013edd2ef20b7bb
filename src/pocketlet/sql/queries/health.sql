-- due_soon --
-- Connections whose agents have a schedule that falls due within these seconds
SELECT DISTINCT c.name, t.agent_id FROM pocketlet.trigger t
  JOIN pocketlet.connection_grant g ON g.agent_id = t.agent_id JOIN pocketlet.connection c ON c.id = g.connection_id
 WHERE t.kind = 'schedule' AND t.active AND t.paused IS NULL AND NOT c.off
   AND t.next_at < pocketlet.now() + make_interval(secs => %(seconds)s) ORDER BY c.name, t.agent_id;

-- over --
-- What no schedule leads us to look at any more: nobody would see that it lets us in again
UPDATE pocketlet.notice n SET resolved_at = pocketlet.now(), resolution = 'no schedule needs it any more'
 WHERE n.resolved_at IS NULL AND (starts_with(n.problem, 'connection:') OR n.problem = 'mail-server')
   AND NOT EXISTS (
     SELECT FROM pocketlet.trigger t
       LEFT JOIN pocketlet.connection_grant g ON g.agent_id = t.agent_id
       LEFT JOIN pocketlet.connection c ON c.id = g.connection_id AND NOT c.off
      WHERE t.kind = 'schedule' AND t.active AND t.paused IS NULL AND t.next_at IS NOT NULL
        AND (n.problem = 'mail-server' OR n.problem = 'connection:' || c.name));

-- any_due_soon --
-- Whether any schedule falls due within these seconds
SELECT FROM pocketlet.trigger t
 WHERE t.kind = 'schedule' AND t.active AND t.paused IS NULL
   AND t.next_at < pocketlet.now() + make_interval(secs => %(seconds)s) LIMIT 1;
