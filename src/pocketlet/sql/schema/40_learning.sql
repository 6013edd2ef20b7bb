-- Feedback and the proof that a change helps.
CREATE TABLE pocketlet.feedback (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  run_id bigint NOT NULL REFERENCES pocketlet.run ON DELETE CASCADE,
  verdict text NOT NULL CHECK (verdict IN ('right', 'change', 'wrong')),
  comment text NOT NULL DEFAULT '',
  edited text,
  authority text NOT NULL DEFAULT 'owner' CHECK (authority IN ('owner', 'member', 'outcome')),
  curation_run bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  outcome text,
  at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON COLUMN pocketlet.feedback.outcome IS 'What became of it: drafted rN, no change because …, adopted, discarded.';

CREATE TABLE pocketlet.cases (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  run_id bigint NOT NULL UNIQUE REFERENCES pocketlet.run ON DELETE CASCADE,
  state text NOT NULL DEFAULT 'candidate' CHECK (state IN ('candidate', 'stable', 'quarantined', 'retired')),
  created_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON TABLE pocketlet.cases IS 'A past run that later revisions are tried on (CASE is a word of SQL, hence the plural).';

CREATE TABLE pocketlet.assertion (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id bigint NOT NULL REFERENCES pocketlet.cases ON DELETE CASCADE,
  feedback_id bigint REFERENCES pocketlet.feedback ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('effect', 'contains', 'absent')),
  expected jsonb NOT NULL,
  revision int
);
COMMENT ON TABLE pocketlet.assertion IS 'What a trial of a case must show; compiled from feedback, judged without a model.';
COMMENT ON COLUMN pocketlet.assertion.revision IS 'The draft it came with: counts for that draft and for what descends from it.';

CREATE TABLE pocketlet.trial (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  revision int NOT NULL,
  case_id bigint NOT NULL REFERENCES pocketlet.cases ON DELETE CASCADE,
  run_id bigint REFERENCES pocketlet.run ON DELETE CASCADE,
  verdict text NOT NULL DEFAULT 'pending' CHECK (verdict IN ('pending', 'fixed', 'same', 'worse', 'still-wrong', 'unchanged', 'unknown')),
  evidence jsonb NOT NULL DEFAULT '{}',
  UNIQUE (agent_id, revision, case_id)
);

GRANT SELECT, INSERT, UPDATE ON pocketlet.feedback, pocketlet.cases, pocketlet.trial TO pd_api;
GRANT SELECT, INSERT ON pocketlet.assertion TO pd_api;
