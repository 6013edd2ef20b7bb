-- Runs with the rights of {app}: what it will create is readable by {reader} and {trial}, its functions by nobody else.
ALTER DEFAULT PRIVILEGES FOR ROLE {app} IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}, {trial};
ALTER DEFAULT PRIVILEGES FOR ROLE {app} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
