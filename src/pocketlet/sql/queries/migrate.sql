-- table --
-- Where the applied migrations are written down; and nobody calls the platform's functions unless told so
ALTER DEFAULT PRIVILEGES FOR ROLE pd_platform REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE SCHEMA IF NOT EXISTS migrations;
CREATE TABLE IF NOT EXISTS migrations.applied (
  name text PRIMARY KEY, checksum text NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now());
GRANT USAGE ON SCHEMA migrations TO pd_api;
GRANT SELECT ON migrations.applied TO pd_api;

-- lock --
-- One migrator at a time, until the transaction ends
SELECT pg_advisory_xact_lock(7246553127);

-- applied --
-- Names and checksums of what is applied
SELECT name, checksum FROM migrations.applied ORDER BY name;

-- note --
-- Writes a migration down as applied
INSERT INTO migrations.applied (name, checksum) VALUES (%(name)s, %(checksum)s)
ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, at = pg_catalog.now();

-- as_platform --
-- What a migration makes is owned by the role that nobody logs in as (ownership, not isolation: the text is ours)
SET LOCAL ROLE pd_platform;

-- as_self --
-- Back to the login
RESET ROLE;

-- is_superuser --
-- Whether the hardening that needs one can be put in force
SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user;

-- make_queue --
-- The queue library gets a schema of its own
CREATE SCHEMA queue;

-- in_queue --
-- Its files name no schema
SET LOCAL search_path = queue, pg_catalog, pg_temp;

-- seal_queue --
-- The queue library's functions name their tables without a schema: pin where they look
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p WHERE p.pronamespace = 'queue'::regnamespace LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = queue, pg_catalog, pg_temp', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO pd_api', f);
  END LOOP;
END $$;

-- open_queue --
-- The API login works with the queue's tables through those functions and the library's own queries
GRANT USAGE ON SCHEMA queue TO pd_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA queue TO pd_api;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA queue TO pd_api;
