-- Outside actions and the person's word on them.
CREATE TABLE pocketlet.effect (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  run_id bigint NOT NULL REFERENCES pocketlet.run ON DELETE CASCADE,
  step_seq int NOT NULL,
  tool text NOT NULL,
  kind text NOT NULL,
  class text NOT NULL CHECK (class IN ('idempotent', 'keyed', 'checkable', 'unsafe')),
  destination text NOT NULL,
  request jsonb NOT NULL,
  message bytea,
  request_hash text NOT NULL,
  state text NOT NULL CHECK (state IN ('planned', 'approved', 'dispatching', 'succeeded', 'failed', 'unknown',
                                       'refused', 'blocked', 'captured')),
  rule text NOT NULL,
  response text,
  attempt int NOT NULL DEFAULT 0,
  fence int NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  UNIQUE (run_id, step_seq)
);
COMMENT ON TABLE pocketlet.effect IS 'One outside action; `dispatching` is committed before the first byte leaves.';
COMMENT ON COLUMN pocketlet.effect.step_seq IS 'The step that asked for it: a step that is done again finds its own row.';
COMMENT ON COLUMN pocketlet.effect.request_hash IS 'sha256 over connection, destination and the exact bytes; an approval is bound to it.';

CREATE TABLE pocketlet.approval (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  effect_id bigint NOT NULL REFERENCES pocketlet.effect ON DELETE CASCADE,
  question text NOT NULL CHECK (question IN ('send', 'send-again')),
  why text NOT NULL,
  request_hash text NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'refused')),
  because text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  decided_at timestamptz
);
CREATE UNIQUE INDEX ON pocketlet.approval (effect_id) WHERE state = 'pending';

GRANT SELECT, INSERT, UPDATE ON pocketlet.effect, pocketlet.approval TO pd_api;
