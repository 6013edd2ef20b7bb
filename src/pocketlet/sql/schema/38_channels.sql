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
