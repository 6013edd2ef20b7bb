-- The database layer: who may connect and what nobody gets by default. Idempotent; no superuser needed.
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO pd_api, pd_watch, pd_admin;
GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {database} TO pd_platform;
GRANT CONNECT ON DATABASE {database} TO pd_admin WITH GRANT OPTION;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
