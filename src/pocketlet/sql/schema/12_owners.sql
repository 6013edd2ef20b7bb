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
