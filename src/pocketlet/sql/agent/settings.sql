-- Defaults of the logins for honest sessions; the watchdog puts them back when a role has changed its own.
-- `platform/watchdog.py` compares with the list in `queries/watchdog.sql`.
ALTER ROLE {app} RESET ALL;
ALTER ROLE {reader} RESET ALL;
ALTER ROLE {manager} RESET ALL;
ALTER ROLE {trial} RESET ALL;
ALTER ROLE {app} SET search_path = {schema}, pg_temp;
ALTER ROLE {app} SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE {reader} SET search_path = {schema}, pg_temp;
ALTER ROLE {reader} SET default_transaction_read_only = on;
ALTER ROLE {reader} SET statement_timeout = '5s';
ALTER ROLE {reader} SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE {reader} SET work_mem = '16MB';
ALTER ROLE {reader} SET jit = off;
ALTER ROLE {reader} SET max_parallel_workers_per_gather = 0;
ALTER ROLE {manager} SET search_path = {schema}, pg_temp;
ALTER ROLE {manager} SET default_transaction_read_only = on;
ALTER ROLE {manager} SET statement_timeout = '5s';
ALTER ROLE {manager} SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE {manager} SET work_mem = '16MB';
ALTER ROLE {manager} SET jit = off;
ALTER ROLE {manager} SET max_parallel_workers_per_gather = 0;
ALTER ROLE {trial} SET search_path = {past}, {schema}, pg_temp;
ALTER ROLE {trial} SET default_transaction_read_only = on;
ALTER ROLE {trial} SET statement_timeout = '5s';
ALTER ROLE {trial} SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE {trial} SET work_mem = '16MB';
ALTER ROLE {trial} SET jit = off;
ALTER ROLE {trial} SET max_parallel_workers_per_gather = 0;
