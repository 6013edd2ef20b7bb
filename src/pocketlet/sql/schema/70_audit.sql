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
