-- What every app's schema and logins get, in one transaction. The app does not own its schema:
-- it can't grant it away, rename it or drop it.
GRANT pd_app TO {app};
GRANT pd_reader TO {reader};
GRANT CONNECT ON DATABASE {database} TO {app}, {reader};
CREATE SCHEMA {schema} AUTHORIZATION pd_platform;
