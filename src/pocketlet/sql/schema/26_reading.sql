-- What an owner has read, and how she likes to look at the list of runs. (After runs, which it refers to.)
CREATE TABLE pocketlet.seen (
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  run_id bigint NOT NULL REFERENCES pocketlet.run ON DELETE CASCADE,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (owner_id, run_id)
);
CREATE INDEX ON pocketlet.seen (run_id);
COMMENT ON TABLE pocketlet.seen IS 'A run that the owner has opened, and when last. What failed after that is unread again.';

CREATE TABLE pocketlet.saved_filter (
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
  query jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (owner_id, name)
);
COMMENT ON TABLE pocketlet.saved_filter IS 'A name for what the owner asks the list of runs for, again and again.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.seen, pocketlet.saved_filter TO pd_api;
