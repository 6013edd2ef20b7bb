-- Bound reads: whose rows a session of an agent's bound login sees. No agent's login may read or write this.
CREATE UNLOGGED TABLE pocketlet.scope (
  pid int PRIMARY KEY,
  login text NOT NULL,
  entity text NOT NULL,
  version bigint
);
COMMENT ON TABLE pocketlet.scope IS 'The correspondent of a run, by the process of the session that reads for it; gone after a crash, like the sessions.';
COMMENT ON COLUMN pocketlet.scope.version IS 'The memory version that a trial reads; null: the present one.';

CREATE TABLE pocketlet.bound (
  agent_id bigint PRIMARY KEY REFERENCES pocketlet.agent ON DELETE CASCADE,
  revision int NOT NULL,
  digest text NOT NULL,
  known jsonb NOT NULL,
  words text NOT NULL
);
COMMENT ON TABLE pocketlet.bound IS 'What an agent''s bound views were last made of: the revision whose [reads] they follow, and the tables.';
COMMENT ON COLUMN pocketlet.bound.revision IS '0: nothing that is there can be relied on; it is made anew before a bound login reads.';
COMMENT ON COLUMN pocketlet.bound.words IS 'Hash of the [reads] and schema/ that they were made for.';
COMMENT ON COLUMN pocketlet.bound.known IS 'Words of the owner''s on them, oldest first: the decision (word), the hash (words), and name and oid of each table and view that was there (tables). What came since is closed.';

CREATE INDEX ON pocketlet.run (agent_id, lower((input->>'sender') COLLATE "C"));

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.scope TO pd_api;
GRANT SELECT, INSERT, UPDATE ON pocketlet.bound TO pd_api;
