-- lacks --
-- Agents with a grant of a connection or a server, and without one of a secret that it needs
WITH need AS (
  SELECT 'connection' AS kind, c.name, g.agent_id, p.place->>'secret' AS secret
    FROM pocketlet.connection c JOIN pocketlet.connection_grant g ON g.connection_id = c.id,
         jsonb_array_elements(coalesce(nullif(c.auth->'places', 'null'), '[]')) AS p (place)
   UNION SELECT 'connection', c.name, g.agent_id, c.auth->'client'->>'secret'
    FROM pocketlet.connection c JOIN pocketlet.connection_grant g ON g.connection_id = c.id
   UNION SELECT 'mcp', m.name, g.agent_id, unnest(m.secrets)
    FROM pocketlet.mcp_server m JOIN pocketlet.mcp_grant g ON g.server_id = m.id
)
SELECT n.kind, n.name, a.name AS agent, n.secret,
       EXISTS (SELECT FROM pocketlet.secret s WHERE s.name = n.secret) AS is_set
  FROM need n JOIN pocketlet.agent a ON a.id = n.agent_id
 WHERE n.secret <> '' AND n.secret = coalesce(%(secret)s, n.secret)
   AND n.kind = coalesce(%(kind)s, n.kind) AND n.name = coalesce(%(name)s, n.name)
   AND NOT EXISTS (SELECT FROM pocketlet.secret_grant g WHERE g.name = n.secret AND g.agent_id = n.agent_id)
 ORDER BY n.kind, n.name, agent, n.secret;
