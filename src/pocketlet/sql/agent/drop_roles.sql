-- Roles are shared by the whole cluster; another database's app of the same name keeps them alive.
DROP ROLE IF EXISTS {bound};
DROP ROLE IF EXISTS {trial};
DROP ROLE IF EXISTS {manager};
DROP ROLE IF EXISTS {reader};
DROP ROLE IF EXISTS {app};
