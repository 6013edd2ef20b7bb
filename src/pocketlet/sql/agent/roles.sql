-- The two logins of an app: {app} owns what it makes in its schema, {reader} may only read there.
CREATE ROLE {app} LOGIN INHERIT CONNECTION LIMIT 10;
CREATE ROLE {reader} LOGIN INHERIT CONNECTION LIMIT 5;
COMMENT ON ROLE {app} IS 'pocketlet app';
COMMENT ON ROLE {reader} IS 'pocketlet reader';
