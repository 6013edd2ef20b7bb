-- state --
-- How the breaker stands
SELECT failures, opened, until, probing, why FROM pocketlet.breaker;

-- hold --
-- The same, locked until the caller's transaction ends
SELECT failures, opened, until, probing, why FROM pocketlet.breaker FOR UPDATE;

-- under_way --
-- Calls that have neither worked nor failed yet; asked after the lock, or it would miss those it waited for
SELECT count(*) AS calls FROM pocketlet.ledger
 WHERE state = 'reserved' AND error IS NULL AND at > pocketlet.now() - make_interval(secs => %(longest)s);

-- move --
UPDATE pocketlet.breaker
   SET failures = %(failures)s, opened = %(opened)s, until = %(until)s, probing = %(probing)s, why = %(why)s,
       changed_at = pocketlet.now();

-- close --
-- A call worked; nothing is written while all is well
UPDATE pocketlet.breaker
   SET failures = 0, opened = 0, until = NULL, probing = false, why = '', changed_at = pocketlet.now()
 WHERE failures > 0 OR opened > 0;
