-- Nothing of the app stays: objects, rights, default rights, schemas.
DROP SCHEMA IF EXISTS {own} CASCADE;
DROP SCHEMA IF EXISTS {past} CASCADE;
DROP SCHEMA IF EXISTS {schema} CASCADE;
DROP OWNED BY {app}, {reader}, {manager}, {trial}, {bound} CASCADE;
