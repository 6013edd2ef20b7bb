-- What every app's schema and logins get, in one transaction. The app does not own its schema:
-- it can't grant it away, rename it or drop it.
GRANT pd_app TO {app};
GRANT pd_reader TO {reader}, {manager};
GRANT CONNECT ON DATABASE {database} TO {app}, {reader}, {manager};
CREATE SCHEMA {schema} AUTHORIZATION pd_platform;
