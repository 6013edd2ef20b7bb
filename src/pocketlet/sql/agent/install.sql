-- What every app's schema and logins get, in one transaction. The app does not own its schema:
-- it can't grant it away, rename it or drop it.
GRANT pd_app TO {app};
GRANT pd_reader TO {reader}, {manager}, {trial}, {bound};
GRANT CONNECT ON DATABASE {database} TO {app}, {reader}, {manager}, {trial}, {bound};
CREATE SCHEMA {schema} AUTHORIZATION pd_platform;
CREATE SCHEMA {past} AUTHORIZATION pd_platform;
CREATE SCHEMA {own} AUTHORIZATION pd_platform;
