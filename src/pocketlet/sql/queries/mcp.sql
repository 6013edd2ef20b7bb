-- add --
-- A server, unless the name is taken
INSERT INTO pocketlet.mcp_server (name, transport, command, url, secrets, pinned)
VALUES (%(name)s, %(transport)s, %(command)s, %(url)s, %(secrets)s, %(pinned)s)
ON CONFLICT DO NOTHING RETURNING id;

-- get --
-- One server, by name, with the agents that may use it
SELECT s.id, s.name, s.transport, s.command, s.url, s.secrets, s.pinned, s.off, s.created_at,
       ARRAY(SELECT a.name FROM pocketlet.mcp_grant g JOIN pocketlet.agent a ON a.id = g.agent_id
              WHERE g.server_id = s.id ORDER BY a.name) AS agents
  FROM pocketlet.mcp_server s WHERE s.name = %(name)s;

-- list --
-- All servers, with how many of their tools are on and how many wait for a review
SELECT s.name, s.transport, s.command, s.url, s.off,
       ARRAY(SELECT a.name FROM pocketlet.mcp_grant g JOIN pocketlet.agent a ON a.id = g.agent_id
              WHERE g.server_id = s.id ORDER BY a.name) AS agents,
       (SELECT count(*) FROM pocketlet.mcp_tool t WHERE t.server_id = s.id AND t.state = 'on') AS on,
       (SELECT count(*) FROM pocketlet.mcp_tool t WHERE t.server_id = s.id AND t.state = 'new' AND t.fault = '') AS new
  FROM pocketlet.mcp_server s ORDER BY s.name;

-- switch --
-- The cut-off switch
UPDATE pocketlet.mcp_server SET off = %(off)s WHERE id = %(id)s;

-- remove --
-- With its tools, its grants, and the standing rules that name it
WITH ended AS (
  UPDATE pocketlet.rule u SET removed_at = pocketlet.now() FROM pocketlet.mcp_server s
   WHERE s.id = %(id)s AND u.kind = 'mcp' AND starts_with(u.destination, s.name || '/') AND u.removed_at IS NULL
)
DELETE FROM pocketlet.mcp_server WHERE id = %(id)s;

-- grant --
-- An agent may use it from now on
INSERT INTO pocketlet.mcp_grant (server_id, agent_id) VALUES (%(id)s, %(agent)s) ON CONFLICT DO NOTHING;

-- revoke --
-- No longer
DELETE FROM pocketlet.mcp_grant WHERE server_id = %(id)s AND agent_id = %(agent)s;

-- tools --
-- What was shown of a server's tools
SELECT tool, description, schema, annotations, digest, fault, class, state, reviewed, reviewed_at
  FROM pocketlet.mcp_tool WHERE server_id = %(id)s ORDER BY tool;

-- hold --
-- Reviews and marks of one server take turns
SELECT id FROM pocketlet.mcp_server WHERE id = %(id)s FOR UPDATE;

-- show --
-- A tool as it is shown now; another digest than before takes back what was said of it
INSERT INTO pocketlet.mcp_tool AS t (server_id, tool, description, schema, annotations, digest, fault)
VALUES (%(id)s, %(tool)s, %(description)s, %(schema)s, %(annotations)s, %(digest)s, %(fault)s)
ON CONFLICT (server_id, tool) DO UPDATE
   SET description = excluded.description, schema = excluded.schema, annotations = excluded.annotations,
       digest = excluded.digest, fault = excluded.fault, class = 'unsafe', state = 'new', reviewed_at = NULL
 WHERE t.digest <> excluded.digest;

-- forget --
-- Tools that the server has no longer
DELETE FROM pocketlet.mcp_tool WHERE server_id = %(id)s AND NOT tool = ANY(%(tools)s) RETURNING tool;

-- decide --
-- The owner's word on a tool, as it was shown
UPDATE pocketlet.mcp_tool SET state = %(state)s, class = %(class)s, reviewed = description, reviewed_at = pocketlet.now()
 WHERE server_id = %(id)s AND tool = %(tool)s AND digest = %(digest)s;

-- doubt --
-- Tools that are on and are not listed as they were reviewed: off until the owner has looked again
UPDATE pocketlet.mcp_tool SET state = 'new'
 WHERE server_id = %(id)s AND state = 'on'
   AND NOT EXISTS (SELECT FROM unnest(%(tools)s::text[], %(digests)s::text[]) AS n (tool, digest)
                    WHERE n.tool = mcp_tool.tool AND n.digest = mcp_tool.digest)
RETURNING tool;

-- notice --
-- A tool that nobody has seen yet
INSERT INTO pocketlet.mcp_tool (server_id, tool, description, schema, annotations, digest, fault)
VALUES (%(id)s, %(tool)s, %(description)s, %(schema)s, %(annotations)s, %(digest)s, %(fault)s)
ON CONFLICT DO NOTHING RETURNING tool;

-- of_agent --
-- The tools that an agent may be offered
SELECT s.id AS server_id, s.name AS server, t.tool, t.description, t.schema, t.digest, t.class
  FROM pocketlet.mcp_grant g JOIN pocketlet.mcp_server s ON s.id = g.server_id
  JOIN pocketlet.mcp_tool t ON t.server_id = s.id
 WHERE g.agent_id = %(agent)s AND NOT s.off AND t.state = 'on' ORDER BY s.name, t.tool;

-- usable --
-- A server and one of its tools as things stand now, for an agent
SELECT s.id, s.name, s.command, s.url, s.secrets, s.pinned, t.digest, t.class, coalesce(t.state, 'new') AS state, s.off,
       EXISTS (SELECT FROM pocketlet.mcp_grant g WHERE g.server_id = s.id AND g.agent_id = %(agent)s) AS granted
  FROM pocketlet.mcp_server s LEFT JOIN pocketlet.mcp_tool t ON t.server_id = s.id AND t.tool = %(tool)s
 WHERE s.name = %(server)s;
