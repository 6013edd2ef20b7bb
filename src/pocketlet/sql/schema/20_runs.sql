-- Runs and their journal.
CREATE TABLE pocketlet.worker (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host text NOT NULL,
  pid int NOT NULL,
  role text NOT NULL CHECK (role IN ('up', 'worker', 'demo', 'command')),
  mail_port int,
  web_port int,
  queue_worker bigint,
  started_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  heartbeat timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON COLUMN pocketlet.worker.queue_worker IS 'What the queue calls this process: the jobs it held go back when it is gone.';
COMMENT ON TABLE pocketlet.worker IS 'Processes that work on runs; one without a heartbeat for 10 s counts as dead.';

CREATE TABLE pocketlet.run (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  kind text NOT NULL CHECK (kind IN ('run', 'manager', 'trial', 'chat')),
  revision int NOT NULL,
  state text NOT NULL DEFAULT 'queued'
    CHECK (state IN ('queued', 'running', 'waiting', 'done', 'failed', 'stopped')),
  outcome text,
  result text,
  input jsonb NOT NULL,
  raw bytea,
  facts jsonb NOT NULL DEFAULT '{}',
  label text NOT NULL CHECK (label IN ('owner', 'playbook', 'own-data', 'outside')),
  model text,
  briefing jsonb,
  briefing_hash text,
  overhead_tokens int,
  lessons bigint[] NOT NULL DEFAULT '{}',
  feedback_id bigint,
  case_id bigint,
  curation bigint,
  fence int NOT NULL DEFAULT 0,
  worker_id bigint REFERENCES pocketlet.worker ON DELETE SET NULL,
  stop_requested boolean NOT NULL DEFAULT false,
  dry boolean NOT NULL DEFAULT false,
  deadline_at timestamptz,
  recoveries int NOT NULL DEFAULT 0,
  since timestamptz NOT NULL DEFAULT pocketlet.now(),
  error text,
  hint text,
  exit_code int,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  started_at timestamptz,
  ended_at timestamptz,
  FOREIGN KEY (agent_id, revision) REFERENCES pocketlet.revision (agent_id, n) ON DELETE CASCADE
);
COMMENT ON COLUMN pocketlet.run.revision IS 'Pinned when the run is made; a run never changes revision.';
COMMENT ON COLUMN pocketlet.run.dry IS 'It is only shown what the run would do outside: its effects are captured.';
COMMENT ON COLUMN pocketlet.run.deadline_at IS 'The run ends by then, waiting for a person not counted; set when it is first taken up.';
COMMENT ON COLUMN pocketlet.run.recoveries IS 'How often in a row a worker that had it was lost before it wrote a step; after three it is set apart for a person to look at.';
COMMENT ON COLUMN pocketlet.run.since IS 'When it was taken up, or began to wait.';
COMMENT ON COLUMN pocketlet.run.fence IS 'Counts claims; a write with an older fence comes from a worker that lost the run.';
COMMENT ON COLUMN pocketlet.run.curation IS 'The manager''s run whose learning budget this is booked on; 0: the day''s.';
CREATE INDEX ON pocketlet.run (agent_id, id);
CREATE INDEX ON pocketlet.run (state) WHERE state IN ('queued', 'running', 'waiting');

CREATE TABLE pocketlet.step (
  run_id bigint NOT NULL REFERENCES pocketlet.run ON DELETE CASCADE,
  seq int NOT NULL CHECK (seq > 0),
  kind text NOT NULL CHECK (kind IN ('model', 'tool')),
  tool text,
  request jsonb NOT NULL,
  response jsonb,
  error text,
  label text NOT NULL CHECK (label IN ('owner', 'playbook', 'own-data', 'outside')),
  meta jsonb NOT NULL DEFAULT '{}',
  fence int NOT NULL,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (run_id, seq)
);
COMMENT ON TABLE pocketlet.step IS 'The journal: one row a model reply or tool result, written once, never changed.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.worker, pocketlet.run TO pd_api;
GRANT SELECT, INSERT ON pocketlet.step TO pd_api;
