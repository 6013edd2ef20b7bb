-- role --
-- A role and the comment that says whose it is
SELECT pg_catalog.shobj_description(oid, 'pg_authid') AS comment FROM pg_catalog.pg_roles WHERE rolname = %(role)s;

-- schema --
-- Whether the name is taken by a schema
SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(name)s;

-- fill_in --
-- Stands in for a login that is missing, so that it can be taken away with the others
CREATE ROLE {role} NOLOGIN;

-- may_limit --
-- Whether this login may cap temporary files of a role
SELECT pg_catalog.has_parameter_privilege('temp_file_limit', 'SET') AS may;

-- borrow --
-- The installing login takes part in the app's roles
GRANT {app} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE;
GRANT {reader} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE;
GRANT {manager} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE;
GRANT {trial} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE;
GRANT {bound} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE;

-- give_back --
-- And leaves them, before the transaction ends
REVOKE {app} FROM CURRENT_USER GRANTED BY CURRENT_USER;
REVOKE {reader} FROM CURRENT_USER GRANTED BY CURRENT_USER;
REVOKE {manager} FROM CURRENT_USER GRANTED BY CURRENT_USER;
REVOKE {trial} FROM CURRENT_USER GRANTED BY CURRENT_USER;
REVOKE {bound} FROM CURRENT_USER GRANTED BY CURRENT_USER;

-- as_platform --
-- What follows is owned by the role that nobody logs in as
SET LOCAL ROLE pd_platform;

-- end_sessions --
-- Nobody is logged in to this database as the app while it is taken away
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
 WHERE usename = ANY (%(roles)s) AND datname = pg_catalog.current_database();

-- other_databases --
-- Where else in the cluster an app of this name is installed: the roles are the cluster's, and the same ones there
SELECT DISTINCT d.datname FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a
 WHERE d.datname <> pg_catalog.current_database() AND a.privilege_type = 'CONNECT'
   AND a.grantee IN (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY (%(roles)s))
 ORDER BY d.datname;

-- connect --
-- DROP OWNED takes rights on all databases away: gives the right to enter another one back
GRANT CONNECT ON DATABASE {database} TO {app}, {reader}, {manager}, {trial}, {bound};
