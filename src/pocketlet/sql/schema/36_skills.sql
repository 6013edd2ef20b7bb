-- Skills from elsewhere: what came, pinned, beside the revision that brought it. Written once.
CREATE TABLE pocketlet.skill_source (
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  revision int NOT NULL,
  name text NOT NULL,
  source text NOT NULL,
  commit_id text NOT NULL DEFAULT '',
  digest text NOT NULL,
  installed text NOT NULL,
  permissions jsonb NOT NULL DEFAULT '{}',
  files jsonb NOT NULL DEFAULT '{}',
  others jsonb NOT NULL DEFAULT '{}',
  installed_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (agent_id, name, revision),
  FOREIGN KEY (agent_id, revision) REFERENCES pocketlet.revision ON DELETE CASCADE
);
COMMENT ON TABLE pocketlet.skill_source IS 'What was installed with a revision; it holds for those that descend from it.';
COMMENT ON COLUMN pocketlet.skill_source.digest IS 'The pin over upstream''s files; empty: the skill was removed with this revision.';
COMMENT ON COLUMN pocketlet.skill_source.installed IS 'The pin over the skill as the revision has it: upstream''s files with the owner''s edits.';
COMMENT ON COLUMN pocketlet.skill_source.permissions IS 'What the text speaks of, as the owner saw it: scripts, hosts, addresses, tools. It grants nothing.';
COMMENT ON COLUMN pocketlet.skill_source.others IS 'sha256 of the files that are no text; their content is not kept.';

GRANT SELECT, INSERT ON pocketlet.skill_source TO pd_api;
