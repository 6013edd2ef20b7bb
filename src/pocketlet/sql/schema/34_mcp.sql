-- MCP servers: which there are, what each of their tools was when the owner reviewed it, and which agent may use which.
CREATE TABLE pocketlet.mcp_server (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9-]{0,19}$'),
  transport text NOT NULL CHECK (transport IN ('stdio', 'http')),
  command text[] NOT NULL DEFAULT '{}',
  url text NOT NULL DEFAULT '',
  secrets text[] NOT NULL DEFAULT '{}',
  pinned text[] NOT NULL DEFAULT '{}',
  off boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  CHECK ((transport = 'stdio') = (cardinality(command) > 0) AND (transport = 'http') = (url <> ''))
);
COMMENT ON COLUMN pocketlet.mcp_server.name IS 'No underscore in it, so that `server__tool` names one tool of one server.';
COMMENT ON COLUMN pocketlet.mcp_server.command IS 'A program by its path, and its arguments; no shell reads it.';
COMMENT ON COLUMN pocketlet.mcp_server.secrets IS 'Names only: variables of the program, or the bearer token of the URL.';
COMMENT ON COLUMN pocketlet.mcp_server.pinned IS 'Addresses or networks of a server in the owner''s own network.';
COMMENT ON COLUMN pocketlet.mcp_server.off IS 'The cut-off switch.';

CREATE TABLE pocketlet.mcp_tool (
  server_id bigint NOT NULL REFERENCES pocketlet.mcp_server ON DELETE CASCADE,
  tool text NOT NULL,
  description text NOT NULL,
  schema jsonb NOT NULL,
  annotations jsonb NOT NULL,
  digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  fault text NOT NULL DEFAULT '',
  class text NOT NULL DEFAULT 'unsafe' CHECK (class IN ('read', 'idempotent', 'keyed', 'unsafe')),
  state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'on', 'off')),
  reviewed text,
  reviewed_at timestamptz,
  PRIMARY KEY (server_id, tool)
);
COMMENT ON TABLE pocketlet.mcp_tool IS 'As it was last shown to the owner: what a run is told of a tool comes from here, never from the server.';
COMMENT ON COLUMN pocketlet.mcp_tool.digest IS 'sha256 over name, description, schemas and annotations; compared with the server''s before each call.';
COMMENT ON COLUMN pocketlet.mcp_tool.fault IS 'Why the tool is left out, if it is; the others of its server go on.';
COMMENT ON COLUMN pocketlet.mcp_tool.class IS 'The owner''s word on what a call does there; the server''s own hints count for nothing.';
COMMENT ON COLUMN pocketlet.mcp_tool.state IS 'new: not reviewed, or not the same any more.';
COMMENT ON COLUMN pocketlet.mcp_tool.reviewed IS 'Its description as the owner last decided on it: what a new one is shown beside.';

CREATE TABLE pocketlet.mcp_grant (
  server_id bigint NOT NULL REFERENCES pocketlet.mcp_server ON DELETE CASCADE,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (server_id, agent_id)
);
CREATE INDEX ON pocketlet.mcp_grant (agent_id);
COMMENT ON TABLE pocketlet.mcp_grant IS 'Without a row the agent sees no tool of the server.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.mcp_server, pocketlet.mcp_tool, pocketlet.mcp_grant TO pd_api;
