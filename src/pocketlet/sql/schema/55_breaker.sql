-- One breaker over all model providers: a row, so that every worker knows of it.
CREATE TABLE pocketlet.breaker (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  failures int NOT NULL DEFAULT 0 CHECK (failures >= 0),
  opened int NOT NULL DEFAULT 0 CHECK (opened >= 0),
  until timestamptz CHECK ((until IS NULL) = (opened = 0)),
  probing boolean NOT NULL DEFAULT false,
  why text NOT NULL DEFAULT '',
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON TABLE pocketlet.breaker IS 'After failures in a row no model is asked `until` then; then one call tries, and all go on when it works.';
COMMENT ON COLUMN pocketlet.breaker.opened IS 'How often in a row: the pause grows with it.';
COMMENT ON COLUMN pocketlet.breaker.probing IS 'A call tries now; if its worker dies, another one tries at `until`.';
INSERT INTO pocketlet.breaker DEFAULT VALUES;

CREATE INDEX ON pocketlet.ledger (at) WHERE state = 'reserved' AND error IS NULL;

GRANT SELECT, UPDATE ON pocketlet.breaker TO pd_api;
