-- What an owner keeps for herself: questions that she asks of an agent's tables again and again.
CREATE TABLE pocketlet.saved_query (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  query text NOT NULL CHECK (length(query) BETWEEN 1 AND 20000),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  UNIQUE (owner_id, agent_id, name)
);
CREATE INDEX ON pocketlet.saved_query (agent_id);
COMMENT ON TABLE pocketlet.saved_query IS 'A SELECT of the owner''s, run by the reader gate alone; %(name)s in it is asked for.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.saved_query TO pd_api;
