-- Which services outside an agent may use, and how: rows of the owner, deny by default.
CREATE TABLE pocketlet.connection (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_-]{0,30}$'),
  kind text NOT NULL DEFAULT 'http' CHECK (kind IN ('http', 'mcp')),
  base_url text NOT NULL,
  auth jsonb NOT NULL DEFAULT '{"kind": "none"}',
  headers jsonb NOT NULL DEFAULT '{}',
  allow jsonb NOT NULL DEFAULT '[]',
  deny jsonb NOT NULL DEFAULT '[]',
  pinned text[] NOT NULL DEFAULT '{}',
  max_bytes int NOT NULL DEFAULT 1000000 CHECK (max_bytes BETWEEN 1 AND 20000000),
  seconds double precision NOT NULL DEFAULT 30 CHECK (seconds > 0 AND seconds <= 300),
  per_day int CHECK (per_day >= 0),
  notes text NOT NULL DEFAULT '' CHECK (length(notes) <= 8000),
  settings jsonb,
  review_on date NOT NULL,
  off boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
-- Names of secrets are made of the name, in capitals and with _ for -.
CREATE UNIQUE INDEX ON pocketlet.connection (replace(name, '-', '_'));
COMMENT ON COLUMN pocketlet.connection.auth IS 'Where which secret goes, by the name that it has in the vault; never a value.';
COMMENT ON COLUMN pocketlet.connection.headers IS 'Sent with every request, such as the version of an API; never a secret.';
COMMENT ON COLUMN pocketlet.connection.allow IS '[{method, path, effect, harm, key_header, open, query}]: what is not in it is denied.';
COMMENT ON COLUMN pocketlet.connection.deny IS
  '[{method, path}] known to exist and not allowed, so that `/orders/{id}` does not let `/orders/purge` through.';
COMMENT ON COLUMN pocketlet.connection.pinned IS 'Addresses or networks of a server in the owner''s own network.';
COMMENT ON COLUMN pocketlet.connection.off IS 'The cut-off switch.';

CREATE TABLE pocketlet.connection_grant (
  connection_id bigint NOT NULL REFERENCES pocketlet.connection ON DELETE CASCADE,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  review_on date NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (connection_id, agent_id)
);
CREATE INDEX ON pocketlet.connection_grant (agent_id);
COMMENT ON TABLE pocketlet.connection_grant IS 'Without a row the agent can not use the connection.';

CREATE TABLE pocketlet.connection_token (
  connection_id bigint PRIMARY KEY REFERENCES pocketlet.connection ON DELETE CASCADE,
  expires_at timestamptz,
  doubted boolean NOT NULL DEFAULT false,
  renewed_at timestamptz
);
COMMENT ON TABLE pocketlet.connection_token IS 'OAuth2: locked by whoever renews the token, which itself is sealed in the vault.';
COMMENT ON COLUMN pocketlet.connection_token.expires_at IS 'NULL: the service did not say.';
COMMENT ON COLUMN pocketlet.connection_token.doubted IS 'This token replaced one that the service answered with 401: another 401 is final.';

CREATE TABLE pocketlet.connection_use (
  connection_id bigint NOT NULL REFERENCES pocketlet.connection ON DELETE CASCADE,
  day date NOT NULL,
  calls int NOT NULL,
  PRIMARY KEY (connection_id, day)
);
COMMENT ON TABLE pocketlet.connection_use IS 'Calls by UTC day, counted before they are made.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.connection, pocketlet.connection_grant, pocketlet.connection_token,
  pocketlet.connection_use TO pd_api;
