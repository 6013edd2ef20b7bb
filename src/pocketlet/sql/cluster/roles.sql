-- The platform's own roles. Idempotent: run at every start by whoever set up the cluster.
-- pd_platform owns everything and never logs in; agents' roles are made by `sql/agent/install.sql`.
DO $$
DECLARE
  missing text;
BEGIN
  FOREACH missing IN ARRAY ARRAY['pd_platform', 'pd_app', 'pd_reader'] LOOP
    IF to_regrole(missing) IS NULL THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN', missing);
    END IF;
  END LOOP;
  FOREACH missing IN ARRAY ARRAY['pd_api', 'pd_watch', 'pd_admin'] LOOP
    IF to_regrole(missing) IS NULL THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', missing);
    END IF;
  END LOOP;
END $$;
ALTER ROLE pd_admin CREATEROLE INHERIT;
GRANT pd_platform TO pd_admin;
GRANT pd_app, pd_reader TO pd_admin WITH ADMIN OPTION;
ALTER ROLE pd_watch INHERIT;
GRANT pg_monitor, pg_signal_backend TO pd_watch;
ALTER ROLE pd_api SET search_path = pg_catalog, pg_temp;
-- A process that is stopped within a transaction must not keep its locks for long; a connection's own time-out is 30 s.
ALTER ROLE pd_api SET idle_in_transaction_session_timeout = '35s';
ALTER ROLE pd_admin SET search_path = pg_catalog, pg_temp;
ALTER ROLE pd_watch SET search_path = pg_catalog, pg_temp;
