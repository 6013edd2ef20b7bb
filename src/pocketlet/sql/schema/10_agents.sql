-- The control schema `pocketlet`: everything the platform knows about agents, out of reach of every agent's role.
--
--   event ─▶ slot ─▶ run (pinned to a revision) ─▶ step, step, step … ─▶ result
--                      │ model call  ─▶ ledger row (reserved, then settled), counted in `budget`
--                      │ outside act ─▶ effect (planned → approved → dispatching → succeeded | failed | unknown)
--                      └ waits       ─▶ approval (the run parks as a row; a decision enqueues it again)
--   feedback ─▶ case ─▶ the manager's run ─▶ revision (draft) ─▶ trial runs ─▶ decision (adopt | discard | rollback)
--
-- `step` is the journal and the only checkpoint: a run resumes, a trial replays and a person reads from it.
-- Revisions, lessons, steps and decisions are written once; no role may change them.
CREATE SCHEMA pocketlet;
GRANT USAGE ON SCHEMA pocketlet TO pd_api;

CREATE FUNCTION pocketlet.now() RETURNS timestamptz LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
  AS $$ SELECT pg_catalog.clock_timestamp() $$;
COMMENT ON FUNCTION pocketlet.now() IS 'The one clock of the database; only tests replace it.';

CREATE TABLE pocketlet.setting (
  name text PRIMARY KEY,
  value text NOT NULL
);
COMMENT ON TABLE pocketlet.setting IS 'Facts about this installation: its id, the version of the hardening in force.';

CREATE TABLE pocketlet.owner (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_.-]{0,40}$'),
  keeper boolean NOT NULL DEFAULT false,
  password text,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON TABLE pocketlet.owner IS 'A person. Sees and changes her own agents, and what hangs on them.';
COMMENT ON COLUMN pocketlet.owner.keeper IS 'Keeps the installation, too: secrets, channels, owners.';
COMMENT ON COLUMN pocketlet.owner.password IS 'scrypt, with its salt and costs; null: none.';
INSERT INTO pocketlet.owner (name, keeper) VALUES ('owner', true);

CREATE TABLE pocketlet.agent (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_]{0,40}$'),
  owner_id bigint NOT NULL DEFAULT 1 REFERENCES pocketlet.owner,
  origin text NOT NULL DEFAULT 'import',
  current int,
  memory_version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON COLUMN pocketlet.agent.owner_id IS 'Whoever this is sees all that hangs on the agent, and nobody else does.';
COMMENT ON COLUMN pocketlet.agent.current IS 'The revision that new runs are pinned to; rolling back moves this pointer.';
COMMENT ON COLUMN pocketlet.agent.memory_version IS 'Bumped first in every memory write, so that a read can be repeated as of then.';

CREATE TABLE pocketlet.lesson (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  name text NOT NULL,
  topic text NOT NULL,
  body text NOT NULL CHECK (length(body) <= 400),
  predicate jsonb NOT NULL DEFAULT '{}',
  authority text NOT NULL CHECK (authority IN ('owner', 'member', 'outcome')),
  label text NOT NULL CHECK (label IN ('owner', 'playbook', 'own-data', 'outside')),
  feedback_id bigint,
  run_id bigint,
  since timestamptz NOT NULL,
  expect jsonb NOT NULL DEFAULT '[]',
  UNIQUE (agent_id, name)
);
COMMENT ON TABLE pocketlet.lesson IS 'A scoped rule; which lessons count is said by revision.lessons. Never updated.';
COMMENT ON COLUMN pocketlet.lesson.expect IS 'What work that follows the lesson shows, as assertions.';

CREATE TABLE pocketlet.revision (
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  n int NOT NULL CHECK (n > 0),
  parent int,
  reason text NOT NULL,
  author text NOT NULL CHECK (author IN ('owner', 'manager')),
  feedback_id bigint,
  run_id bigint,
  manifest text NOT NULL,
  instructions text NOT NULL,
  skills jsonb NOT NULL,
  schema_files jsonb NOT NULL,
  lessons bigint[] NOT NULL,
  tables text NOT NULL,
  digest text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (agent_id, n)
);
COMMENT ON COLUMN pocketlet.revision.manifest IS 'agent.toml as it was given, byte for byte.';
COMMENT ON COLUMN pocketlet.revision.tables IS 'The table map that briefings show; read from the catalogue once, at import.';

CREATE TABLE pocketlet.decision (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  revision int NOT NULL,
  verdict text NOT NULL CHECK (verdict IN ('import', 'adopt', 'ask', 'narrow', 'discard', 'rollback', 'revert')),
  author text NOT NULL,
  because text NOT NULL DEFAULT '',
  evidence jsonb NOT NULL DEFAULT '{}',
  at timestamptz NOT NULL DEFAULT pocketlet.now()
);
CREATE INDEX ON pocketlet.decision (agent_id, revision);
COMMENT ON COLUMN pocketlet.decision.author IS 'owner, or gate: what was decided on the evidence, without a person.';

CREATE VIEW pocketlet.revision_state AS
  SELECT r.agent_id, r.n, CASE WHEN a.current = r.n THEN 'current' ELSE coalesce(
           (SELECT CASE d.verdict WHEN 'discard' THEN 'discarded' WHEN 'ask' THEN 'asked' WHEN 'narrow' THEN 'narrowed'
                                  ELSE 'adopted' END
              FROM pocketlet.decision d WHERE d.agent_id = r.agent_id AND d.revision = r.n ORDER BY d.id DESC LIMIT 1),
           'draft') END AS state
    FROM pocketlet.revision r JOIN pocketlet.agent a ON a.id = r.agent_id;
COMMENT ON VIEW pocketlet.revision_state IS
  'draft: the gate is at work on it; asked: it waits for the owner; narrowed: the next draft stands in its place.';

CREATE TABLE pocketlet.secret (
  name text PRIMARY KEY,
  nonce bytea NOT NULL,
  sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  last_used_at timestamptz
);
COMMENT ON TABLE pocketlet.secret IS 'Sealed with a key that is never in the database.';
COMMENT ON COLUMN pocketlet.secret.last_used_at IS 'By an agent''s connection; the first use of that day.';

CREATE TABLE pocketlet.secret_grant (
  name text NOT NULL REFERENCES pocketlet.secret ON DELETE CASCADE,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (name, agent_id)
);
COMMENT ON TABLE pocketlet.secret_grant IS 'Whose connections may use a secret; without a row, the platform''s own gateways alone.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.setting, pocketlet.owner, pocketlet.agent, pocketlet.secret TO pd_api;
GRANT SELECT, INSERT, DELETE ON pocketlet.secret_grant TO pd_api;
GRANT SELECT, INSERT ON pocketlet.lesson, pocketlet.revision, pocketlet.decision TO pd_api;
GRANT SELECT ON pocketlet.revision_state TO pd_api;
