-- The one database of an embedded cluster.
CREATE DATABASE {database}
