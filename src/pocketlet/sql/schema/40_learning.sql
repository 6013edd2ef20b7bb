-- Feedback and the proof that a change helps.
CREATE TABLE pocketlet.feedback (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  run_id bigint REFERENCES pocketlet.run ON DELETE CASCADE,
  verdict text NOT NULL CHECK (verdict IN ('right', 'change', 'wrong')),
  comment text NOT NULL DEFAULT '',
  edited text,
  about jsonb NOT NULL DEFAULT '{}',
  source text NOT NULL DEFAULT 'owner' CHECK (source IN ('owner', 'reply', 'sent', 'backtest')),
  curation_run bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  outcome text,
  at timestamptz NOT NULL DEFAULT pocketlet.now()
);
CREATE INDEX ON pocketlet.feedback (agent_id, id) WHERE outcome IS NULL;
CREATE INDEX ON pocketlet.feedback (run_id);
COMMENT ON COLUMN pocketlet.feedback.about IS 'What exactly it is about, if not the whole run: {"step": 4}, {"table": "memories", "row": 12}.';
COMMENT ON COLUMN pocketlet.feedback.source IS 'How it came: said, a reply to a notice, what was really sent, a past mail''s real answer.';
COMMENT ON COLUMN pocketlet.feedback.outcome IS
  'What became of it, never left empty for good: adopted in rN, asked, discarded because, no change because, memory corrected.';

CREATE TABLE pocketlet.cases (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  run_id bigint NOT NULL UNIQUE REFERENCES pocketlet.run ON DELETE CASCADE,
  state text NOT NULL DEFAULT 'candidate' CHECK (state IN ('candidate', 'stable', 'quarantined', 'retired')),
  accepted boolean NOT NULL DEFAULT false,
  passes int NOT NULL DEFAULT 0,
  pinned boolean NOT NULL DEFAULT false,
  scope text NOT NULL DEFAULT '',
  model text,
  reason text,
  retired_by bigint REFERENCES pocketlet.feedback ON DELETE SET NULL,
  retired_in int,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
CREATE INDEX ON pocketlet.cases (agent_id, scope);
COMMENT ON TABLE pocketlet.cases IS 'A past run that later revisions are tried on (CASE is a word of SQL, hence the plural).';
COMMENT ON COLUMN pocketlet.cases.accepted IS 'The owner said of the run that it was right: its own work vouches for the case.';
COMMENT ON COLUMN pocketlet.cases.passes IS 'Passes in a row on what is in force; the third makes the case stable, so that it can gate.';
COMMENT ON COLUMN pocketlet.cases.model IS 'The model that the passes were made with; for another one they count no more.';
COMMENT ON COLUMN pocketlet.cases.retired_in IS 'The revision with which it retired: going back behind that brings it back.';
COMMENT ON COLUMN pocketlet.cases.retired_by IS 'The feedback that contradicts the case.';

CREATE TABLE pocketlet.assertion (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  case_id bigint NOT NULL REFERENCES pocketlet.cases ON DELETE CASCADE,
  feedback_id bigint REFERENCES pocketlet.feedback ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('effect', 'tool', 'forbidden', 'contains', 'absent', 'max_words')),
  expected jsonb NOT NULL,
  revision int
);
CREATE INDEX ON pocketlet.assertion (case_id);
COMMENT ON TABLE pocketlet.assertion IS 'What a trial of a case must show; compiled from feedback, judged without a model.';
COMMENT ON COLUMN pocketlet.assertion.revision IS 'The draft it came with: counts for that draft and for what descends from it.';

CREATE TABLE pocketlet.trial (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  revision int NOT NULL,
  draft int NOT NULL,
  case_id bigint NOT NULL REFERENCES pocketlet.cases ON DELETE CASCADE,
  purpose text NOT NULL CHECK (purpose IN ('trigger', 'before', 'regression', 'admission', 'audit', 'compare')),
  gates boolean NOT NULL GENERATED ALWAYS AS (purpose IN ('trigger', 'before', 'regression')) STORED,
  attempt int NOT NULL DEFAULT 1,
  run_id bigint REFERENCES pocketlet.run ON DELETE CASCADE,
  verdict text NOT NULL DEFAULT 'pending' CHECK (verdict IN ('pending', 'pass', 'fail', 'unknown')),
  evidence jsonb NOT NULL DEFAULT '{}',
  at timestamptz NOT NULL DEFAULT pocketlet.now()
);
CREATE INDEX ON pocketlet.trial (agent_id, draft);
CREATE INDEX ON pocketlet.trial (run_id);
CREATE INDEX ON pocketlet.trial (case_id);
COMMENT ON COLUMN pocketlet.trial.purpose IS
  'trigger: does the draft fix what it is for; before: does the revision in force still fail there; regression: does the draft '
  'break a stable case; admission: towards the three passes; audit: cases that never gate; compare: another model.';
COMMENT ON COLUMN pocketlet.trial.gates IS 'Whether the decision on the draft rests on it.';
COMMENT ON COLUMN pocketlet.trial.draft IS 'The draft for whose sake it is made; `revision` is what it is made with.';
COMMENT ON COLUMN pocketlet.trial.verdict IS 'unknown: it could not be carried out, or did what was not recorded: neither pass nor fail.';

GRANT SELECT, INSERT, UPDATE ON pocketlet.feedback, pocketlet.cases, pocketlet.trial TO pd_api;
GRANT SELECT, INSERT ON pocketlet.assertion TO pd_api;

CREATE FUNCTION pocketlet.line(agent bigint, revision int) RETURNS SETOF int LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp AS $$
  WITH RECURSIVE line AS (
    SELECT r.n, r.parent FROM pocketlet.revision r WHERE r.agent_id = agent AND r.n = revision
    UNION ALL
    SELECT r.n, r.parent FROM pocketlet.revision r JOIN line ON r.agent_id = agent AND r.n = line.parent
  )
  SELECT n FROM line
$$;
COMMENT ON FUNCTION pocketlet.line(bigint, int) IS 'A revision and all that it descends from.';
GRANT EXECUTE ON FUNCTION pocketlet.line(bigint, int) TO pd_api;

CREATE TABLE pocketlet.candidate (
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  revision int NOT NULL,
  case_id bigint REFERENCES pocketlet.cases ON DELETE CASCADE,
  curation bigint REFERENCES pocketlet.run ON DELETE CASCADE,
  feedback bigint[] NOT NULL DEFAULT '{}',
  findings jsonb NOT NULL,
  sample bigint[] NOT NULL,
  pinned bigint[] NOT NULL,
  retires bigint[] NOT NULL,
  contested bigint[] NOT NULL,
  touched int NOT NULL,
  unchanged int NOT NULL,
  narrowings int NOT NULL,
  explicit boolean NOT NULL,
  owner_decides boolean NOT NULL,
  overhead int NOT NULL,
  model text,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (agent_id, revision)
);
COMMENT ON TABLE pocketlet.candidate IS
  'A draft before the gate: what was found wrong with it without trying, and on which cases it is tried. Written once.';
COMMENT ON COLUMN pocketlet.candidate.case_id IS 'The case that the draft is to fix.';
COMMENT ON COLUMN pocketlet.candidate.model IS 'On which it is tried, if the draft changes the model.';
COMMENT ON COLUMN pocketlet.candidate.sample IS 'The affected stable cases that are tried: pinned ones, then the newest.';
COMMENT ON COLUMN pocketlet.candidate.retires IS 'Cases that its feedback contradicts: retired if it is adopted.';
COMMENT ON COLUMN pocketlet.candidate.contested IS
  'Cases that rest on a lesson which the corrected run had followed, or which the draft retires: they do not hold it up, and
  retire with its adoption if its own replay contradicts them.';
COMMENT ON COLUMN pocketlet.candidate.touched IS 'Affected stable cases, whether they are tried or not.';

GRANT SELECT, INSERT ON pocketlet.candidate TO pd_api;

CREATE VIEW pocketlet.citing_run AS
  SELECT r.id, r.agent_id, r.lessons, (
           SELECT f.verdict FROM pocketlet.feedback f
            WHERE f.run_id = r.id AND NOT f.about ? 'table' ORDER BY f.id DESC LIMIT 1) AS verdict
    FROM pocketlet.run r WHERE r.kind = 'run' AND r.lessons <> '{}';
COMMENT ON VIEW pocketlet.citing_run IS 'The agent''s own runs that were told lessons, with the last that a person said of each.';
GRANT SELECT ON pocketlet.citing_run TO pd_api;
