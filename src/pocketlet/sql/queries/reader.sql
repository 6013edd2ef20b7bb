-- begin --
-- Fixed text, so one message may hold several statements. One snapshot for all that follows, the version first
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = 500; SET LOCAL work_mem = '16MB';
SELECT version FROM memory_version;

-- show_past --
-- What the session of this process will see; one that died without `forget_past` left its row
INSERT INTO pocketlet.past (pid, version) VALUES (%(pid)s, %(version)s)
ON CONFLICT (pid) DO UPDATE SET version = excluded.version;

-- forget_past --
DELETE FROM pocketlet.past WHERE pid = %(pid)s;

-- show_own --
-- Whose rows the session of this process will see, and of which version (null: of now)
INSERT INTO pocketlet.scope (pid, login, entity, version) VALUES (%(pid)s, %(login)s, %(entity)s, %(version)s)
ON CONFLICT (pid) DO UPDATE SET login = excluded.login, entity = excluded.entity, version = excluded.version;

-- forget_own --
DELETE FROM pocketlet.scope WHERE pid = %(pid)s;

-- limit_100ms --
SET LOCAL statement_timeout = 100;

-- limit_500ms --
SET LOCAL statement_timeout = 500;

-- limit_1s --
SET LOCAL statement_timeout = 1000;

-- limit_2s --
SET LOCAL statement_timeout = 2000;

-- limit_3s --
SET LOCAL statement_timeout = 3000;

-- limit_4s --
SET LOCAL statement_timeout = 4000;

-- limit_5s --
SET LOCAL statement_timeout = 5000;

-- fetch --
FETCH FORWARD 1 FROM q;

-- fetch_batch --
FETCH FORWARD 20 FROM q;
