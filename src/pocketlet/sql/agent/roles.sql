-- The logins of an app: {app} owns what it makes in its schema, {reader} may only read there, {manager} may read only
-- what holds no outside text, and {trial} reads as {reader} does, but memory only as of a version.
CREATE ROLE {app} LOGIN INHERIT CONNECTION LIMIT 10;
CREATE ROLE {reader} LOGIN INHERIT CONNECTION LIMIT 5;
CREATE ROLE {manager} LOGIN INHERIT CONNECTION LIMIT 5;
CREATE ROLE {trial} LOGIN INHERIT CONNECTION LIMIT 5;
COMMENT ON ROLE {app} IS 'pocketlet app';
COMMENT ON ROLE {reader} IS 'pocketlet reader';
COMMENT ON ROLE {manager} IS 'pocketlet manager';
COMMENT ON ROLE {trial} IS 'pocketlet trial';
