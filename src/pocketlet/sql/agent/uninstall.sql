-- Nothing of the app stays: objects, rights, default rights, schema.
DROP SCHEMA IF EXISTS {schema} CASCADE;
DROP OWNED BY {app}, {reader}, {manager} CASCADE;
