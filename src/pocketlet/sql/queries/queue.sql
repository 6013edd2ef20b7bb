-- register --
-- A process that works on runs
INSERT INTO pocketlet.worker (host, pid, role, mail_port) VALUES (%(host)s, %(pid)s, %(role)s, %(mail_port)s) RETURNING id;

-- workers --
-- Those that are alive
SELECT id, host, pid, role, mail_port, started_at FROM pocketlet.worker
 WHERE heartbeat > pocketlet.now() - make_interval(secs => %(dead_after)s) ORDER BY id;

-- unregister --
-- A worker that ends
DELETE FROM pocketlet.worker WHERE id = %(id)s;

-- heartbeat --
-- Still here
UPDATE pocketlet.worker SET heartbeat = pocketlet.now() WHERE id = %(id)s;

-- same_host --
-- Workers of this machine
SELECT id, pid FROM pocketlet.worker WHERE host = %(host)s;

-- bury --
-- Workers that are gone; their runs lose the link
DELETE FROM pocketlet.worker
 WHERE id = ANY (%(gone)s) OR heartbeat < pocketlet.now() - make_interval(secs => %(dead_after)s);

-- bring_back --
-- A run whose worker is gone is queued again: its job goes back, or a new one is made
WITH orphan AS (
  SELECT r.id FROM pocketlet.run r WHERE r.state = 'running' AND r.worker_id IS NULL FOR UPDATE SKIP LOCKED
), queued AS (
  UPDATE pocketlet.run r SET state = 'queued' FROM orphan WHERE r.id = orphan.id RETURNING r.id
), dropped AS (
  DELETE FROM queue.procrastinate_jobs j USING queued WHERE j.status = 'doing' AND j.lock = 'run:' || queued.id
  RETURNING j.id
)
SELECT count(pocketlet.enqueue(queued.id)) AS count, (SELECT count(*) FROM dropped) AS dropped FROM queued;
