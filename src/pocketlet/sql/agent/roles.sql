-- The logins of an app: {app} owns what it makes in its schema, {reader} may only read there, {manager} may read only
-- what holds no outside text, {trial} reads as {reader} does, but memory only as of a version, and {bound} reads for a
-- run whose task is somebody's mail: the rows of whoever wrote, and what the owner shares.
CREATE ROLE {app} LOGIN INHERIT CONNECTION LIMIT 10;
CREATE ROLE {reader} LOGIN INHERIT CONNECTION LIMIT 5;
CREATE ROLE {manager} LOGIN INHERIT CONNECTION LIMIT 5;
CREATE ROLE {trial} LOGIN INHERIT CONNECTION LIMIT 5;
CREATE ROLE {bound} LOGIN INHERIT CONNECTION LIMIT 5;
COMMENT ON ROLE {app} IS 'pocketlet app';
COMMENT ON ROLE {reader} IS 'pocketlet reader';
COMMENT ON ROLE {manager} IS 'pocketlet manager';
COMMENT ON ROLE {trial} IS 'pocketlet trial';
COMMENT ON ROLE {bound} IS 'pocketlet bound reader';
