-- Outside actions, the person's word on them, and what the owner allows once and for all.
CREATE TABLE pocketlet.rule (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  tool text NOT NULL,
  kind text NOT NULL,
  destination text NOT NULL,
  per_day int NOT NULL CHECK (per_day > 0),
  review_on date NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  removed_at timestamptz
);
COMMENT ON TABLE pocketlet.rule IS 'A standing rule of the owner: this tool may do this there unasked, so often a day, until it is to be reviewed.';

CREATE TABLE pocketlet.effect (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  run_id bigint NOT NULL REFERENCES pocketlet.run ON DELETE CASCADE,
  step_seq int NOT NULL,
  tool text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('mail', 'http', 'mcp')),
  class text NOT NULL CHECK (class IN ('read', 'idempotent', 'keyed', 'checkable', 'unsafe')),
  destination text NOT NULL,
  request jsonb NOT NULL,
  message bytea,
  request_hash text NOT NULL,
  state text NOT NULL CHECK (state IN ('planned', 'approved', 'dispatching', 'succeeded', 'failed', 'unknown',
                                       'refused', 'blocked', 'captured', 'replaced')),
  rule text NOT NULL,
  rule_id bigint REFERENCES pocketlet.rule,
  replaces bigint REFERENCES pocketlet.effect ON DELETE CASCADE,
  response text,
  attempt int NOT NULL DEFAULT 0,
  fence int NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  dispatched_at timestamptz
);
CREATE UNIQUE INDEX effect_of_step ON pocketlet.effect (run_id, step_seq) WHERE state <> 'replaced';
CREATE INDEX ON pocketlet.effect (rule_id, created_at) WHERE rule_id IS NOT NULL;
COMMENT ON TABLE pocketlet.effect IS 'One outside action; `dispatching` is committed before the first byte leaves.';
COMMENT ON COLUMN pocketlet.effect.step_seq IS 'The step that asked for it: a step that is done again finds its own row.';
COMMENT ON COLUMN pocketlet.effect.request_hash IS 'sha256 over connection, destination and the exact bytes; an approval is bound to it.';
COMMENT ON COLUMN pocketlet.effect.class IS
  'What a break past the send means: read, idempotent, keyed (with its key) are done again; checkable is looked up; unsafe is asked.';
COMMENT ON COLUMN pocketlet.effect.replaces IS 'The effect that the owner edited: this one is sent in its place.';

CREATE TABLE pocketlet.approval (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  effect_id bigint NOT NULL REFERENCES pocketlet.effect ON DELETE CASCADE,
  question text NOT NULL CHECK (question IN ('send', 'send-again')),
  why text NOT NULL,
  request_hash text NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'approved', 'refused', 'expired', 'edited')),
  because text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  expires_at timestamptz NOT NULL,
  decided_at timestamptz
);
CREATE UNIQUE INDEX ON pocketlet.approval (effect_id) WHERE state = 'pending';
COMMENT ON COLUMN pocketlet.approval.expires_at IS 'From then on the answer is no.';

CREATE VIEW pocketlet.held_act WITH (security_invoker = true) AS
  SELECT DISTINCT ON (e.run_id) e.run_id, e.state, e.kind, e.tool, e.destination,
         (SELECT q.state FROM pocketlet.approval q WHERE q.effect_id = coalesce(e.replaces, e.id) ORDER BY q.id DESC LIMIT 1)
           AS answer
    FROM pocketlet.effect e WHERE e.state IN ('blocked', 'refused', 'captured') ORDER BY e.run_id, e.id DESC;
COMMENT ON VIEW pocketlet.held_act IS 'Of each run the last act that was not let out, and the owner''s last word on it.';

GRANT SELECT, INSERT, UPDATE ON pocketlet.rule, pocketlet.effect, pocketlet.approval TO pd_api;
GRANT SELECT ON pocketlet.held_act TO pd_api;
