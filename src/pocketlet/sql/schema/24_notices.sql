-- What the owner is told: one open notice a problem, however often it comes up, and each telling as a row before it leaves.
CREATE TABLE pocketlet.notice (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint REFERENCES pocketlet.agent ON DELETE CASCADE,
  problem text NOT NULL,
  title text NOT NULL,
  hint text NOT NULL DEFAULT '',
  run_id bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  count int NOT NULL DEFAULT 1,
  first_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  last_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  resolved_at timestamptz,
  resolution text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX notice_open ON pocketlet.notice (problem) WHERE resolved_at IS NULL;
COMMENT ON TABLE pocketlet.notice IS 'A problem that the owner should know of. Its key makes a hundred failures one notice with a count.';
COMMENT ON COLUMN pocketlet.notice.problem IS 'What makes two reports the same problem, such as `slot:7:failed` for trigger 7.';
COMMENT ON COLUMN pocketlet.notice.resolution IS 'How it ended: by itself (a later success), or by the owner''s word.';

GRANT SELECT, INSERT, UPDATE ON pocketlet.notice TO pd_api;
