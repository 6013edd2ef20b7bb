-- The logins of an app: {app} owns what it makes in its schema, {reader} may only read there, and {manager} may
-- read only what holds no outside text.
CREATE ROLE {app} LOGIN INHERIT CONNECTION LIMIT 10;
CREATE ROLE {reader} LOGIN INHERIT CONNECTION LIMIT 5;
CREATE ROLE {manager} LOGIN INHERIT CONNECTION LIMIT 5;
COMMENT ON ROLE {app} IS 'pocketlet app';
COMMENT ON ROLE {reader} IS 'pocketlet reader';
COMMENT ON ROLE {manager} IS 'pocketlet manager';
