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
-- How owners, and the programs of owners, prove who they are.
--
--   owner ─▶ code ─▶ session   a code is used once, for the cookie of one browser
--     └─▶ token                what a program shows: hashed, with scopes and an end
CREATE TABLE pocketlet.login_code (
  hash bytea PRIMARY KEY,
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  expires_at timestamptz NOT NULL
);
COMMENT ON TABLE pocketlet.login_code IS 'Gone once it is used.';

CREATE TABLE pocketlet.session (
  hash bytea PRIMARY KEY,
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  browser text NOT NULL DEFAULT '',
  uid bigint,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  expires_at timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON TABLE pocketlet.session IS 'A browser that is logged in; the cookie itself is nowhere.';
COMMENT ON COLUMN pocketlet.session.uid IS 'The user of this machine whose processes it is good for; null: of whoever shows it.';

CREATE TABLE pocketlet.token (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  name text NOT NULL,
  hash bytea NOT NULL UNIQUE,
  scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'run', 'approve', 'admin'] AND cardinality(scopes) > 0),
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  expires_at timestamptz,
  last_used_at timestamptz,
  UNIQUE (owner_id, name)
);
COMMENT ON TABLE pocketlet.token IS 'What a program shows instead of a cookie; the token itself is nowhere.';

CREATE TABLE pocketlet.answered (
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  request bytea NOT NULL,
  status int,
  body text,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (owner_id, key)
);
COMMENT ON TABLE pocketlet.answered IS 'Answers to POSTs by their Idempotency-Key, for 24 hours; without a status: begun, and not known to have ended.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.login_code, pocketlet.session, pocketlet.token, pocketlet.answered TO pd_api;
-- What an owner keeps for herself: questions that she asks of an agent's tables again and again.
CREATE TABLE pocketlet.saved_query (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  query text NOT NULL CHECK (length(query) BETWEEN 1 AND 20000),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  UNIQUE (owner_id, agent_id, name)
);
CREATE INDEX ON pocketlet.saved_query (agent_id);
COMMENT ON TABLE pocketlet.saved_query IS 'A SELECT of the owner''s, run by the reader gate alone; %(name)s in it is asked for.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.saved_query TO pd_api;
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
-- What starts runs by itself. Everything that is due is a row before anything is done about it.
--
--   agent.toml [triggers] ─▶ trigger ─ schedule: the tick moves `watermark` and inserts slots, in one transaction
--                                    ├ event (mail, webhook): the slot is committed before the sender is told so
--                                    └ look (mailbox, feed, poll, change): slots and `cursor` in one transaction
--   slot: due ─▶ claimed (a run is made with it) ─▶ done | failed        due ─▶ skipped | missed
--   a list: due ─▶ claimed (its items are made with it, each a slot) ─▶ done | failed, once all items have their end
CREATE TABLE pocketlet.trigger (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  name text NOT NULL,
  kind text NOT NULL
    CHECK (kind IN ('mail', 'schedule', 'webhook', 'mailbox', 'feed', 'change', 'poll', 'result', 'chat')),
  spec jsonb NOT NULL,
  address text,
  active boolean NOT NULL DEFAULT true,
  paused text,
  watermark timestamptz NOT NULL DEFAULT pocketlet.now(),
  next_at timestamptz,
  cursor jsonb NOT NULL DEFAULT '{}',
  holder bigint REFERENCES pocketlet.worker ON DELETE SET NULL,
  lease_until timestamptz,
  failures int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  UNIQUE (agent_id, name)
);
CREATE INDEX trigger_address ON pocketlet.trigger (kind, address) WHERE active AND address IS NOT NULL;
CREATE INDEX trigger_next ON pocketlet.trigger (next_at) WHERE active AND paused IS NULL;
COMMENT ON TABLE pocketlet.trigger IS 'One entry of [triggers] in agent.toml of the current revision, with how far it has come.';
COMMENT ON COLUMN pocketlet.trigger.address IS 'What an event names it by: a mail address, or the last part of a webhook''s path.';
COMMENT ON COLUMN pocketlet.trigger.active IS 'Whether the current revision has it; one that it has no more keeps its slots.';
COMMENT ON COLUMN pocketlet.trigger.paused IS 'Why the owner paused it. Nothing else pauses a trigger.';
COMMENT ON COLUMN pocketlet.trigger.watermark IS 'Schedules: everything due until then is a slot.';
COMMENT ON COLUMN pocketlet.trigger.next_at IS 'When it is due, or is to be looked at, next.';
COMMENT ON COLUMN pocketlet.trigger.cursor IS 'How far a mailbox, feed or service was read; moved with the slots that were read.';
COMMENT ON COLUMN pocketlet.trigger.failures IS 'Looks in a row that failed; the pause between two looks grows with it.';

CREATE TABLE pocketlet.slot (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  trigger_id bigint NOT NULL REFERENCES pocketlet.trigger ON DELETE CASCADE,
  key text NOT NULL,
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'claimed', 'done', 'failed', 'skipped', 'missed')),
  reason text NOT NULL DEFAULT '',
  stands_for int NOT NULL DEFAULT 1,
  due_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  recorded_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  body bytea,
  about jsonb NOT NULL DEFAULT '{}',
  run_id bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  replays bigint REFERENCES pocketlet.slot ON DELETE CASCADE,
  items int CHECK (items > 0),
  parent bigint REFERENCES pocketlet.slot ON DELETE CASCADE,
  position int CHECK (position > 0),
  held boolean NOT NULL DEFAULT false,
  attempts int NOT NULL DEFAULT 0,
  not_before timestamptz,
  lease_until timestamptz,
  started_at timestamptz,
  ended_at timestamptz,
  UNIQUE NULLS NOT DISTINCT (trigger_id, key, parent),
  CHECK (parent IS NULL OR (position IS NOT NULL AND items IS NULL))
);
CREATE INDEX slot_due ON pocketlet.slot (due_at, id) WHERE state = 'due' AND NOT held;
CREATE INDEX slot_claimed ON pocketlet.slot (run_id) WHERE state = 'claimed';
CREATE INDEX slot_run ON pocketlet.slot (run_id);
CREATE INDEX slot_agent ON pocketlet.slot (agent_id, due_at);
CREATE INDEX slot_list ON pocketlet.slot (id) WHERE state = 'claimed' AND items IS NOT NULL;
CREATE INDEX slot_item ON pocketlet.slot (parent, position) WHERE parent IS NOT NULL;
COMMENT ON TABLE pocketlet.slot IS 'One occurrence of one trigger; the unique key is why each starts one run.';
COMMENT ON COLUMN pocketlet.slot.key IS 'The event''s own id, or a schedule''s nominal local time and fold.';
COMMENT ON COLUMN pocketlet.slot.state IS
  'due: recorded; claimed: it has a run; done: the run did it and the trigger''s checks hold; failed: it did not; skipped: on purpose; missed: nobody started it in time.';
COMMENT ON COLUMN pocketlet.slot.reason IS 'Why it was skipped, missed, or did not succeed.';
COMMENT ON COLUMN pocketlet.slot.stands_for IS 'Occurrences that this row stands for: more than 1,000 skipped ones are one row.';
COMMENT ON COLUMN pocketlet.slot.body IS 'What came, byte for byte.';
COMMENT ON COLUMN pocketlet.slot.about IS 'What is known of the event besides its body: header fields, who sent it.';
COMMENT ON COLUMN pocketlet.slot.replays IS 'The slot that the owner had done again.';
COMMENT ON COLUMN pocketlet.slot.items IS 'Of a list that was begun: how many items it has. It has no run of its own.';
COMMENT ON COLUMN pocketlet.slot.parent IS 'Of an item: the slot of its list. One that is done again by itself has a position and no parent.';
COMMENT ON COLUMN pocketlet.slot.held IS 'Of an item: its turn has not come.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.trigger TO pd_api;
GRANT SELECT, INSERT, UPDATE ON pocketlet.slot TO pd_api;
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
-- What an owner has read, and how she likes to look at the list of runs. (After runs, which it refers to.)
CREATE TABLE pocketlet.seen (
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  run_id bigint NOT NULL REFERENCES pocketlet.run ON DELETE CASCADE,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (owner_id, run_id)
);
CREATE INDEX ON pocketlet.seen (run_id);
COMMENT ON TABLE pocketlet.seen IS 'A run that the owner has opened, and when last. What failed after that is unread again.';

CREATE TABLE pocketlet.saved_filter (
  owner_id bigint NOT NULL REFERENCES pocketlet.owner ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 60),
  query jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (owner_id, name)
);
COMMENT ON TABLE pocketlet.saved_filter IS 'A name for what the owner asks the list of runs for, again and again.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.seen, pocketlet.saved_filter TO pd_api;
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
-- Which services outside an agent may use, and how: rows of the owner, deny by default.
CREATE TABLE pocketlet.connection (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9_-]{0,30}$'),
  kind text NOT NULL DEFAULT 'http' CHECK (kind IN ('http', 'mcp')),
  base_url text NOT NULL,
  auth jsonb NOT NULL DEFAULT '{"kind": "none"}',
  headers jsonb NOT NULL DEFAULT '{}',
  allow jsonb NOT NULL DEFAULT '[]',
  deny jsonb NOT NULL DEFAULT '[]',
  pinned text[] NOT NULL DEFAULT '{}',
  max_bytes int NOT NULL DEFAULT 1000000 CHECK (max_bytes BETWEEN 1 AND 20000000),
  seconds double precision NOT NULL DEFAULT 30 CHECK (seconds > 0 AND seconds <= 300),
  per_day int CHECK (per_day >= 0),
  notes text NOT NULL DEFAULT '' CHECK (length(notes) <= 8000),
  settings jsonb,
  review_on date NOT NULL,
  off boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
-- Names of secrets are made of the name, in capitals and with _ for -.
CREATE UNIQUE INDEX ON pocketlet.connection (replace(name, '-', '_'));
COMMENT ON COLUMN pocketlet.connection.auth IS 'Where which secret goes, by the name that it has in the vault; never a value.';
COMMENT ON COLUMN pocketlet.connection.headers IS 'Sent with every request, such as the version of an API; never a secret.';
COMMENT ON COLUMN pocketlet.connection.allow IS '[{method, path, effect, harm, key_header, open, query}]: what is not in it is denied.';
COMMENT ON COLUMN pocketlet.connection.deny IS
  '[{method, path}] known to exist and not allowed, so that `/orders/{id}` does not let `/orders/purge` through.';
COMMENT ON COLUMN pocketlet.connection.pinned IS 'Addresses or networks of a server in the owner''s own network.';
COMMENT ON COLUMN pocketlet.connection.off IS 'The cut-off switch.';

CREATE TABLE pocketlet.connection_grant (
  connection_id bigint NOT NULL REFERENCES pocketlet.connection ON DELETE CASCADE,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  review_on date NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (connection_id, agent_id)
);
CREATE INDEX ON pocketlet.connection_grant (agent_id);
COMMENT ON TABLE pocketlet.connection_grant IS 'Without a row the agent can not use the connection.';

CREATE TABLE pocketlet.connection_token (
  connection_id bigint PRIMARY KEY REFERENCES pocketlet.connection ON DELETE CASCADE,
  expires_at timestamptz,
  doubted boolean NOT NULL DEFAULT false,
  renewed_at timestamptz
);
COMMENT ON TABLE pocketlet.connection_token IS 'OAuth2: locked by whoever renews the token, which itself is sealed in the vault.';
COMMENT ON COLUMN pocketlet.connection_token.expires_at IS 'NULL: the service did not say.';
COMMENT ON COLUMN pocketlet.connection_token.doubted IS 'This token replaced one that the service answered with 401: another 401 is final.';

CREATE TABLE pocketlet.connection_use (
  connection_id bigint NOT NULL REFERENCES pocketlet.connection ON DELETE CASCADE,
  day date NOT NULL,
  calls int NOT NULL,
  PRIMARY KEY (connection_id, day)
);
COMMENT ON TABLE pocketlet.connection_use IS 'Calls by UTC day, counted before they are made.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.connection, pocketlet.connection_grant, pocketlet.connection_token,
  pocketlet.connection_use TO pd_api;
-- MCP servers: which there are, what each of their tools was when the owner reviewed it, and which agent may use which.
CREATE TABLE pocketlet.mcp_server (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9-]{0,19}$'),
  transport text NOT NULL CHECK (transport IN ('stdio', 'http')),
  command text[] NOT NULL DEFAULT '{}',
  url text NOT NULL DEFAULT '',
  secrets text[] NOT NULL DEFAULT '{}',
  pinned text[] NOT NULL DEFAULT '{}',
  off boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  CHECK ((transport = 'stdio') = (cardinality(command) > 0) AND (transport = 'http') = (url <> ''))
);
COMMENT ON COLUMN pocketlet.mcp_server.name IS 'No underscore in it, so that `server__tool` names one tool of one server.';
COMMENT ON COLUMN pocketlet.mcp_server.command IS 'A program by its path, and its arguments; no shell reads it.';
COMMENT ON COLUMN pocketlet.mcp_server.secrets IS 'Names only: variables of the program, or the bearer token of the URL.';
COMMENT ON COLUMN pocketlet.mcp_server.pinned IS 'Addresses or networks of a server in the owner''s own network.';
COMMENT ON COLUMN pocketlet.mcp_server.off IS 'The cut-off switch.';

CREATE TABLE pocketlet.mcp_tool (
  server_id bigint NOT NULL REFERENCES pocketlet.mcp_server ON DELETE CASCADE,
  tool text NOT NULL,
  description text NOT NULL,
  schema jsonb NOT NULL,
  annotations jsonb NOT NULL,
  digest text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  fault text NOT NULL DEFAULT '',
  class text NOT NULL DEFAULT 'unsafe' CHECK (class IN ('read', 'idempotent', 'keyed', 'unsafe')),
  state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'on', 'off')),
  reviewed text,
  reviewed_at timestamptz,
  PRIMARY KEY (server_id, tool)
);
COMMENT ON TABLE pocketlet.mcp_tool IS 'As it was last shown to the owner: what a run is told of a tool comes from here, never from the server.';
COMMENT ON COLUMN pocketlet.mcp_tool.digest IS 'sha256 over name, description, schemas and annotations; compared with the server''s before each call.';
COMMENT ON COLUMN pocketlet.mcp_tool.fault IS 'Why the tool is left out, if it is; the others of its server go on.';
COMMENT ON COLUMN pocketlet.mcp_tool.class IS 'The owner''s word on what a call does there; the server''s own hints count for nothing.';
COMMENT ON COLUMN pocketlet.mcp_tool.state IS 'new: not reviewed, or not the same any more.';
COMMENT ON COLUMN pocketlet.mcp_tool.reviewed IS 'Its description as the owner last decided on it: what a new one is shown beside.';

CREATE TABLE pocketlet.mcp_grant (
  server_id bigint NOT NULL REFERENCES pocketlet.mcp_server ON DELETE CASCADE,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  PRIMARY KEY (server_id, agent_id)
);
CREATE INDEX ON pocketlet.mcp_grant (agent_id);
COMMENT ON TABLE pocketlet.mcp_grant IS 'Without a row the agent sees no tool of the server.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.mcp_server, pocketlet.mcp_tool, pocketlet.mcp_grant TO pd_api;
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
-- How the owner is told, and what the owner says back.
--
--   notice | approval | run ─▶ delivery (channel, subject, telling): planned ─▶ dispatching ─▶ succeeded | failed | unknown
--                                 └ `dispatching` is committed before the first byte leaves
--   what comes in on a channel ─▶ incoming, in one transaction with the channel's cursor and with what it meant
CREATE TABLE pocketlet.channel (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  kind text NOT NULL CHECK (kind IN ('mail', 'webhook', 'telegram')),
  address text NOT NULL,
  base_url text NOT NULL DEFAULT '',
  pinned text[] NOT NULL DEFAULT '{}',
  secret text,
  sender text NOT NULL DEFAULT '',
  about text[] NOT NULL,
  urgent text[] NOT NULL DEFAULT '{}',
  quiet_from time,
  quiet_until time,
  zone text,
  cursor bigint NOT NULL DEFAULT 0,
  listened_until timestamptz,
  failures int NOT NULL DEFAULT 0,
  not_before timestamptz,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON TABLE pocketlet.channel IS 'A way to the owner. No agent has a tool for it.';
COMMENT ON COLUMN pocketlet.channel.address IS 'A mail address, a URL, or the id of a private chat.';
COMMENT ON COLUMN pocketlet.channel.secret IS 'The name of a value in the vault: a signing key, or a bot''s token.';
COMMENT ON COLUMN pocketlet.channel.about IS 'Which kinds of things are told on it: problems, approvals, results.';
COMMENT ON COLUMN pocketlet.channel.urgent IS 'Those of them that quiet hours do not hold back.';
COMMENT ON COLUMN pocketlet.channel.cursor IS 'The last update that was taken in.';
COMMENT ON COLUMN pocketlet.channel.listened_until IS 'Until then one worker listens, and the others leave it alone.';
COMMENT ON COLUMN pocketlet.channel.failures IS 'Tries in a row that failed; the pause before the next one grows with it.';

CREATE TABLE pocketlet.delivery (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel_id bigint NOT NULL REFERENCES pocketlet.channel ON DELETE CASCADE,
  subject text NOT NULL,
  telling int NOT NULL,
  kind text NOT NULL
    CHECK (kind IN ('problem', 'still', 'over', 'approval', 'reminder', 'result', 'digest', 'answer', 'test')),
  class text NOT NULL CHECK (class IN ('keyed', 'checkable', 'unsafe')),
  state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'dispatching', 'succeeded', 'failed', 'unknown')),
  title text NOT NULL,
  body text NOT NULL,
  facts jsonb NOT NULL DEFAULT '{}',
  run_id bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  notice_id bigint REFERENCES pocketlet.notice ON DELETE SET NULL,
  approval_id bigint REFERENCES pocketlet.approval ON DELETE SET NULL,
  digest_id bigint REFERENCES pocketlet.delivery ON DELETE CASCADE,
  answers text NOT NULL DEFAULT '',
  reference text,
  said text NOT NULL DEFAULT '',
  attempt int NOT NULL DEFAULT 0,
  lease_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  UNIQUE (channel_id, subject, telling)
);
CREATE INDEX delivery_open ON pocketlet.delivery (channel_id) WHERE state IN ('planned', 'dispatching');
CREATE INDEX delivery_notice ON pocketlet.delivery (notice_id);
CREATE INDEX delivery_digest ON pocketlet.delivery (digest_id) WHERE digest_id IS NOT NULL;
CREATE INDEX delivery_reference ON pocketlet.delivery (channel_id, reference);
COMMENT ON TABLE pocketlet.delivery IS 'One telling of one thing on one channel. It is made once, whichever worker comes first.';
COMMENT ON COLUMN pocketlet.delivery.subject IS 'What is told: `notice:7`, `notice:7:over`, `approval:3`, `result:12`, `answer:5`.';
COMMENT ON COLUMN pocketlet.delivery.telling IS 'The how-manieth time; a summary that was slept through is left out.';
COMMENT ON COLUMN pocketlet.delivery.class IS 'What a break past the send means, as of an effect: keyed is sent again, checkable looked up, unsafe stays unknown.';
COMMENT ON COLUMN pocketlet.delivery.body IS 'The words that leave, but for a link: that is made anew from the key whenever it is sent.';
COMMENT ON COLUMN pocketlet.delivery.run_id IS 'What an answer to it is about.';
COMMENT ON COLUMN pocketlet.delivery.digest_id IS 'The message in which it is told together with others; its state is that one''s.';
COMMENT ON COLUMN pocketlet.delivery.reference IS 'What the other side calls it.';

CREATE TABLE pocketlet.incoming (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  channel_id bigint NOT NULL REFERENCES pocketlet.channel ON DELETE CASCADE,
  key text NOT NULL,
  state text NOT NULL CHECK (state IN ('taken', 'asked', 'unproven', 'ignored')),
  meaning text NOT NULL,
  words text NOT NULL DEFAULT '',
  run_id bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  delivery_id bigint REFERENCES pocketlet.delivery ON DELETE SET NULL,
  answers text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  UNIQUE (channel_id, key)
);
CREATE INDEX incoming_asked ON pocketlet.incoming (channel_id) WHERE state = 'asked';
COMMENT ON TABLE pocketlet.incoming IS 'What came in on a channel and concerned us, once, and what it was taken for.';
COMMENT ON COLUMN pocketlet.incoming.state IS
  'taken: done; asked: the manager works on the answer (`run_id`); unproven: it waits for the owner to say that it is theirs; ignored.';

CREATE TABLE pocketlet.link (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  approval_id bigint NOT NULL REFERENCES pocketlet.approval ON DELETE CASCADE,
  delivery_id bigint UNIQUE REFERENCES pocketlet.delivery ON DELETE SET NULL,
  purpose text NOT NULL,
  nonce bytea NOT NULL,
  digest bytea NOT NULL,
  request_hash text NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  used_at timestamptz
);
COMMENT ON TABLE pocketlet.link IS 'A signed link to one question, good for one answer. The link itself can''t be made from the row: the key is outside.';
COMMENT ON COLUMN pocketlet.link.digest IS 'sha256 of the token.';

CREATE INDEX notice_problem ON pocketlet.notice (problem, id);
CREATE INDEX notice_resolved ON pocketlet.notice (resolved_at) WHERE resolved_at IS NOT NULL;
CREATE INDEX run_done ON pocketlet.run (ended_at) WHERE kind = 'run' AND state = 'done';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.channel TO pd_api;
GRANT SELECT, INSERT, UPDATE ON pocketlet.delivery, pocketlet.incoming, pocketlet.link TO pd_api;
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
-- Memory as of a version: what sql/agent/past.sql shows to a session. No agent's login may read or write this.
CREATE TABLE pocketlet.past (
  pid int PRIMARY KEY,
  version bigint NOT NULL
);
COMMENT ON TABLE pocketlet.past IS 'The memory version that a trial''s session reads, by the process of that session.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.past TO pd_api;
-- Bound reads: whose rows a session of an agent's bound login sees. No agent's login may read or write this.
CREATE UNLOGGED TABLE pocketlet.scope (
  pid int PRIMARY KEY,
  login text NOT NULL,
  entity text NOT NULL,
  version bigint
);
COMMENT ON TABLE pocketlet.scope IS 'The correspondent of a run, by the process of the session that reads for it; gone after a crash, like the sessions.';
COMMENT ON COLUMN pocketlet.scope.version IS 'The memory version that a trial reads; null: the present one.';

CREATE TABLE pocketlet.bound (
  agent_id bigint PRIMARY KEY REFERENCES pocketlet.agent ON DELETE CASCADE,
  revision int NOT NULL,
  digest text NOT NULL,
  known jsonb NOT NULL,
  words text NOT NULL
);
COMMENT ON TABLE pocketlet.bound IS 'What an agent''s bound views were last made of: the revision whose [reads] they follow, and the tables.';
COMMENT ON COLUMN pocketlet.bound.revision IS '0: nothing that is there can be relied on; it is made anew before a bound login reads.';
COMMENT ON COLUMN pocketlet.bound.words IS 'Hash of the [reads] and schema/ that they were made for.';
COMMENT ON COLUMN pocketlet.bound.known IS 'Words of the owner''s on them, oldest first: the decision (word), the hash (words), and name and oid of each table and view that was there (tables). What came since is closed.';

CREATE INDEX ON pocketlet.run (agent_id, lower((input->>'sender') COLLATE "C"));

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.scope TO pd_api;
GRANT SELECT, INSERT, UPDATE ON pocketlet.bound TO pd_api;
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
-- One breaker over all model providers: a row, so that every worker knows of it.
CREATE TABLE pocketlet.breaker (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  failures int NOT NULL DEFAULT 0 CHECK (failures >= 0),
  opened int NOT NULL DEFAULT 0 CHECK (opened >= 0),
  until timestamptz CHECK ((until IS NULL) = (opened = 0)),
  probing boolean NOT NULL DEFAULT false,
  why text NOT NULL DEFAULT '',
  changed_at timestamptz NOT NULL DEFAULT pocketlet.now()
);
COMMENT ON TABLE pocketlet.breaker IS 'After failures in a row no model is asked `until` then; then one call tries, and all go on when it works.';
COMMENT ON COLUMN pocketlet.breaker.opened IS 'How often in a row: the pause grows with it.';
COMMENT ON COLUMN pocketlet.breaker.probing IS 'A call tries now; if its worker dies, another one tries at `until`.';
INSERT INTO pocketlet.breaker DEFAULT VALUES;

CREATE INDEX ON pocketlet.ledger (at) WHERE state = 'reserved' AND error IS NULL;

GRANT SELECT, UPDATE ON pocketlet.breaker TO pd_api;
-- State transitions that must hold whatever process asks for them. SQLSTATEs: PK001 the run was lost to another
-- worker, PK002 over budget, PK003 not in a state from which this is possible.

CREATE FUNCTION pocketlet.enqueue(run bigint) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM queue.procrastinate_defer_jobs_v1(ARRAY[
    ROW('runs', 'advance', 0, 'run:' || run, 'run:' || run, jsonb_build_object('run', run), NULL)
      ::queue.procrastinate_job_to_defer_v1]);
EXCEPTION WHEN unique_violation THEN
  NULL;  -- a job for this run is waiting already
END $$;
COMMENT ON FUNCTION pocketlet.enqueue(bigint) IS 'Puts a run into the queue, in the transaction of the caller.';

CREATE FUNCTION pocketlet.claim_run(run bigint, worker bigint) RETURNS int LANGUAGE sql
  SET search_path = pg_catalog, pg_temp AS $$
  UPDATE pocketlet.run r
     SET state = 'running', fence = r.fence + 1, worker_id = worker, since = pocketlet.now(),
         deadline_at = CASE r.state WHEN 'waiting' THEN r.deadline_at + (pocketlet.now() - r.since) ELSE r.deadline_at END,
         started_at = coalesce(r.started_at, pocketlet.now()), error = NULL, hint = NULL, exit_code = NULL
   WHERE r.id = run AND r.state IN ('queued', 'running', 'waiting')
  RETURNING r.fence
$$;
COMMENT ON FUNCTION pocketlet.claim_run(bigint, bigint) IS 'The new fence, or NULL if the run is at rest. Time in which it waited for a person moves its deadline.';

CREATE FUNCTION pocketlet.hold(run bigint, holder int) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM pocketlet.run r WHERE r.id = run AND r.fence = holder AND r.state = 'running' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION SQLSTATE 'PK001' USING MESSAGE = 'This run belongs to another worker now.';
  END IF;
END $$;
COMMENT ON FUNCTION pocketlet.hold(bigint, int) IS 'Locks the run for this transaction if the fence is still the caller''s.';

CREATE FUNCTION pocketlet.add_step(run bigint, holder int, step jsonb) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pocketlet.hold(run, holder);
  INSERT INTO pocketlet.step (run_id, seq, kind, tool, request, response, error, label, meta, fence)
  VALUES (run, (step->>'seq')::int, step->>'kind', step->>'tool', step->'request', nullif(step->'response', 'null'),
          step->>'error', step->>'label', coalesce(step->'meta', '{}'), holder);
  UPDATE pocketlet.run r SET label = step->>'label', recoveries = 0
   WHERE r.id = run AND (r.label <> step->>'label' OR r.recoveries > 0);
END $$;

CREATE FUNCTION pocketlet.rest(run bigint, holder int, new_state text, ending jsonb) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pocketlet.hold(run, holder);
  UPDATE pocketlet.run r
     SET state = new_state, outcome = ending->>'outcome', result = ending->>'result', error = ending->>'error',
         hint = ending->>'hint', exit_code = (ending->>'exit_code')::int, worker_id = NULL, since = pocketlet.now(),
         ended_at = CASE WHEN new_state = 'waiting' THEN NULL ELSE pocketlet.now() END
   WHERE r.id = run;
END $$;
COMMENT ON FUNCTION pocketlet.rest(bigint, int, text, jsonb) IS 'Ends or parks a run: waiting, done, failed, stopped.';

CREATE FUNCTION pocketlet.put_off(run bigint, holder int, until timestamptz, why text) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pocketlet.hold(run, holder);
  UPDATE pocketlet.run r SET state = 'queued', worker_id = NULL, error = why, recoveries = 0 WHERE r.id = run;
  BEGIN
    PERFORM queue.procrastinate_defer_jobs_v1(ARRAY[
      ROW('runs', 'advance', 0, 'run:' || run, 'run:' || run, jsonb_build_object('run', run), until)
        ::queue.procrastinate_job_to_defer_v1]);
  EXCEPTION WHEN unique_violation THEN
    NULL;  -- a job for this run is waiting already
  END;
END $$;
COMMENT ON FUNCTION pocketlet.put_off(bigint, int, timestamptz, text) IS 'Queues a run that a worker holds for later; `why` is for people.';

CREATE FUNCTION pocketlet.reserve(entry jsonb, caps jsonb) RETURNS bigint LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  names text[] := ARRAY(SELECT jsonb_object_keys(caps) ORDER BY 1);
  worst numeric := (entry->>'reserved')::numeric;
  granted int;
  entry_id bigint;
BEGIN
  INSERT INTO pocketlet.budget (scope, cap) SELECT key, value::numeric FROM jsonb_each_text(caps) ORDER BY key
  ON CONFLICT (scope) DO NOTHING;
  PERFORM FROM pocketlet.budget b WHERE b.scope = ANY (names) ORDER BY b.scope FOR UPDATE;
  UPDATE pocketlet.budget b SET cap = (caps->>b.scope)::numeric WHERE b.scope = ANY (names) AND b.cap <> (caps->>b.scope)::numeric;
  UPDATE pocketlet.budget b SET reserved = b.reserved + worst
   WHERE b.scope = ANY (names) AND b.cap > 0 AND b.spent + b.reserved + worst <= b.cap;
  GET DIAGNOSTICS granted = ROW_COUNT;
  IF granted < cardinality(names) THEN
    RAISE EXCEPTION SQLSTATE 'PK002' USING MESSAGE = 'The budget does not allow another model call.',
      DETAIL = (SELECT string_agg(
                  CASE split_part(b.scope, ':', 1) WHEN 'run' THEN 'This run' WHEN 'learning' THEN 'Learning from this'
                                                           ELSE 'The agent''s day' END || ' has '
                  || trim_scale(b.cap - b.spent - b.reserved) || ' of ' || trim_scale(b.cap) || ' USD left.', ' ' ORDER BY b.scope DESC)
                  FROM pocketlet.budget b WHERE b.scope = ANY (names) AND (b.cap = 0 OR b.spent + b.reserved + worst > b.cap));
  END IF;
  INSERT INTO pocketlet.ledger (agent_id, agent, run_id, step_seq, kind, model, scopes, reserved, price, price_version)
  VALUES ((entry->>'agent_id')::bigint, entry->>'agent', (entry->>'run_id')::bigint, (entry->>'step_seq')::int,
          entry->>'kind', entry->>'model', names, worst, entry->'price', entry->>'price_version')
  RETURNING id INTO entry_id;
  RETURN entry_id;
END $$;
COMMENT ON FUNCTION pocketlet.reserve(jsonb, jsonb) IS
  'Takes the worst case of a model call from every scope or from none (the rows are locked in one order); the ledger id.';

CREATE FUNCTION pocketlet.settle(entry bigint, new_state text, used jsonb) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  l pocketlet.ledger;
  amount numeric := coalesce((used->>'cost')::numeric, 0);
BEGIN
  SELECT * INTO l FROM pocketlet.ledger WHERE id = entry AND state = 'reserved' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION SQLSTATE 'PK003' USING MESSAGE = 'This ledger entry is settled already.';
  END IF;
  PERFORM FROM pocketlet.budget b WHERE b.scope = ANY (l.scopes) ORDER BY b.scope FOR UPDATE;
  UPDATE pocketlet.budget b SET reserved = b.reserved - l.reserved, spent = b.spent + amount WHERE b.scope = ANY (l.scopes);
  UPDATE pocketlet.ledger
     SET state = new_state, cost = amount, input_tokens = coalesce((used->>'input')::int, 0),
         output_tokens = coalesce((used->>'output')::int, 0), cached_tokens = coalesce((used->>'cached')::int, 0),
         error = used->>'error', settled_at = pocketlet.now()
   WHERE id = entry;
END $$;

CREATE FUNCTION pocketlet.move_effect(act bigint, holder int, states text[], new_state text, said text)
  RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  e pocketlet.effect;
BEGIN
  SELECT * INTO e FROM pocketlet.effect WHERE id = act FOR UPDATE;
  PERFORM pocketlet.hold(e.run_id, holder);
  IF e.state <> ALL (states) THEN
    RAISE EXCEPTION SQLSTATE 'PK003' USING MESSAGE = 'Effect ' || act || ' is ' || e.state || '.';
  END IF;
  UPDATE pocketlet.effect
     SET state = new_state, response = coalesce(said, response), fence = holder, changed_at = pocketlet.now(),
         attempt = attempt + (new_state = 'dispatching')::int,
         dispatched_at = CASE WHEN new_state = 'dispatching' THEN coalesce(dispatched_at, pocketlet.now()) ELSE dispatched_at END
   WHERE id = act;
END $$;
COMMENT ON FUNCTION pocketlet.move_effect(bigint, int, text[], text, text) IS
  'Moves an effect on, if the worker still holds the run and the effect is in one of `states`.';

GRANT EXECUTE ON FUNCTION pocketlet.now() TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.enqueue(bigint) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.claim_run(bigint, bigint) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.hold(bigint, int) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.add_step(bigint, int, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.rest(bigint, int, text, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.put_off(bigint, int, timestamptz, text) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.reserve(jsonb, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.settle(bigint, text, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.move_effect(bigint, int, text[], text, text) TO pd_api;
-- What was decided and what the owner changed, as a hash chain: each row holds the hash of the one before it.
CREATE TABLE pocketlet.audit (
  id bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  actor text NOT NULL CHECK (actor IN ('owner', 'gate', 'worker')),
  action text NOT NULL,
  subject text NOT NULL,
  agent_id bigint,
  agent text,
  run_id bigint,
  step_seq int,
  verdict text,
  rule text,
  details jsonb NOT NULL DEFAULT '{}',
  previous bytea NOT NULL,
  hash bytea NOT NULL
);
CREATE INDEX ON pocketlet.audit (agent, id);
CREATE INDEX ON pocketlet.audit (run_id, id) WHERE run_id IS NOT NULL;
COMMENT ON TABLE pocketlet.audit IS 'Written once, numbered without a gap; `pocketlet audit verify` computes it again.';
COMMENT ON COLUMN pocketlet.audit.agent_id IS 'No foreign key: the row outlives the agent, and so does its name.';

CREATE TABLE pocketlet.audit_head (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  id bigint NOT NULL,
  hash bytea NOT NULL
) WITH (fillfactor = 10);
INSERT INTO pocketlet.audit_head (id, hash) VALUES (0, decode(repeat('00', 32), 'hex'));
COMMENT ON TABLE pocketlet.audit_head IS 'The end of the chain. Its one row is locked by who writes, until that is committed.';

CREATE FUNCTION pocketlet.chain_hash(VARIADIC fields text[]) RETURNS bytea LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp AS $$
  SELECT sha256(string_agg(
           CASE WHEN f.field IS NULL THEN '\x00'::bytea
                ELSE '\x01'::bytea || int8send(octet_length(convert_to(f.field, 'UTF8'))) || convert_to(f.field, 'UTF8') END,
           ''::bytea ORDER BY f.place))
    FROM unnest(fields) WITH ORDINALITY AS f (field, place)
$$;
COMMENT ON FUNCTION pocketlet.chain_hash(text[]) IS
  'sha256 over all fields: a byte 0 for NULL; else a byte 1, the length in 8 bytes, and the text in UTF-8.';

CREATE FUNCTION pocketlet.chain() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT h.id + 1, h.hash INTO STRICT NEW.id, NEW.previous FROM pocketlet.audit_head h FOR UPDATE;
  NEW.at := pocketlet.now();
  NEW.agent := coalesce(NEW.agent, (SELECT a.name FROM pocketlet.agent a WHERE a.id = NEW.agent_id));
  NEW.hash := pocketlet.chain_hash(
    'pocketlet audit 1', encode(NEW.previous, 'hex'), NEW.id::text, trunc(extract(epoch FROM NEW.at) * 1000000)::text,
    NEW.actor, NEW.action, NEW.subject, NEW.agent_id::text, NEW.agent, NEW.run_id::text, NEW.step_seq::text,
    NEW.verdict, NEW.rule, NEW.details::text);
  UPDATE pocketlet.audit_head h SET id = NEW.id, hash = NEW.hash;
  RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON pocketlet.audit FOR EACH ROW EXECUTE FUNCTION pocketlet.chain();

GRANT SELECT ON pocketlet.audit, pocketlet.audit_head TO pd_api;
GRANT INSERT (actor, action, subject, agent_id, agent, run_id, step_seq, verdict, rule, details) ON pocketlet.audit TO pd_api;
