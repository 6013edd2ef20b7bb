-- Memory as of a version: what sql/agent/past.sql shows to a session. No agent's login may read or write this.
CREATE TABLE pocketlet.past (
  pid int PRIMARY KEY,
  version bigint NOT NULL
);
COMMENT ON TABLE pocketlet.past IS 'The memory version that a trial''s session reads, by the process of that session.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.past TO pd_api;
