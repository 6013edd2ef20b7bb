-- role --
-- A role and the comment that says whose it is
SELECT pg_catalog.shobj_description(oid, 'pg_authid') AS comment FROM pg_catalog.pg_roles WHERE rolname = %(role)s;

-- may_limit --
-- Whether this login may cap temporary files of a role
SELECT pg_catalog.has_parameter_privilege('temp_file_limit', 'SET') AS may;

-- borrow --
-- The installing login takes part in the app's roles
GRANT {app} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE;
GRANT {reader} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE;

-- give_back --
-- And leaves them, before the transaction ends
REVOKE {app} FROM CURRENT_USER GRANTED BY CURRENT_USER;
REVOKE {reader} FROM CURRENT_USER GRANTED BY CURRENT_USER;

-- as_platform --
-- What follows is owned by the role that nobody logs in as
SET LOCAL ROLE pd_platform;

-- end_sessions --
-- Nobody is logged in as the app while it is taken away
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = ANY (%(roles)s);

-- used_elsewhere --
-- Whether another database of the cluster still depends on the roles
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_shdepend d
   WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = ANY (
           SELECT oid FROM pg_catalog.pg_roles WHERE rolname = ANY (%(roles)s))
     AND d.deptype <> 'i'
) AS used;
