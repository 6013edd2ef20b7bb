-- One ledger for runs, curation and trials. Amounts are USD.
CREATE TABLE pocketlet.ledger (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint REFERENCES pocketlet.agent ON DELETE SET NULL,
  agent text NOT NULL,
  run_id bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  step_seq int NOT NULL,
  kind text NOT NULL CHECK (kind IN ('run', 'manager', 'trial', 'chat')),
  model text NOT NULL,
  state text NOT NULL DEFAULT 'reserved' CHECK (state IN ('reserved', 'settled', 'released')),
  scopes text[] NOT NULL,
  reserved numeric NOT NULL CHECK (reserved >= 0),
  cost numeric NOT NULL DEFAULT 0 CHECK (cost >= 0),
  input_tokens int NOT NULL DEFAULT 0,
  output_tokens int NOT NULL DEFAULT 0,
  cached_tokens int NOT NULL DEFAULT 0,
  price jsonb NOT NULL,
  price_version text NOT NULL,
  error text,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  settled_at timestamptz
);
COMMENT ON COLUMN pocketlet.ledger.state IS
  'reserved: the outcome is not known (a crash or a lost answer), the worst case stays counted; released: nothing was billed.';
CREATE INDEX ON pocketlet.ledger (agent_id, at);
CREATE INDEX ON pocketlet.ledger (run_id);

CREATE TABLE pocketlet.budget (
  scope text PRIMARY KEY,
  cap numeric NOT NULL CHECK (cap >= 0),
  spent numeric NOT NULL DEFAULT 0,
  reserved numeric NOT NULL DEFAULT 0
);
COMMENT ON TABLE pocketlet.budget IS 'Caps by scope: `run:17`, `agent:3:2026-11-22` (UTC day).';

GRANT SELECT, INSERT, UPDATE ON pocketlet.ledger TO pd_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.budget TO pd_api;
