-- register --
-- A process that works on runs
INSERT INTO pocketlet.worker (host, pid, role, mail_port, web_port)
VALUES (%(host)s, %(pid)s, %(role)s, %(mail_port)s, %(web_port)s) RETURNING id;

-- workers --
-- Those that are alive
SELECT id, host, pid, role, mail_port, web_port, started_at FROM pocketlet.worker
 WHERE heartbeat > pocketlet.now() - make_interval(secs => %(dead_after)s) ORDER BY id;

-- hand_back --
-- Before a worker ends: what it was at goes on elsewhere, and counts as no loss
UPDATE pocketlet.run SET state = 'queued', worker_id = NULL, fence = fence + 1
 WHERE worker_id = %(id)s AND state = 'running';

-- unregister --
-- A worker that ends
DELETE FROM pocketlet.worker WHERE id = %(id)s;

-- heartbeat --
-- Still here
UPDATE pocketlet.worker SET heartbeat = pocketlet.now(), queue_worker = %(queue_worker)s WHERE id = %(id)s;

-- same_host --
-- Workers of this machine
SELECT id, pid FROM pocketlet.worker WHERE host = %(host)s;

-- bury --
-- Workers that are gone: their runs lose the link, and the jobs that they held are given up. One that only slept
-- (a closed laptop, SIGSTOP) finds its row again when it wakes, and its runs elsewhere.
WITH buried AS (
  SELECT w.id, w.queue_worker FROM pocketlet.worker w
   WHERE w.id = ANY (%(gone)s) OR w.heartbeat < pocketlet.now() - make_interval(secs => %(dead_after)s)
), loosened AS (
  UPDATE pocketlet.run r SET worker_id = NULL FROM buried WHERE r.worker_id = buried.id
), forgotten AS (
  DELETE FROM pocketlet.worker w WHERE w.id = ANY (%(gone)s) OR w.heartbeat < pocketlet.now() - interval '1 day'
)
DELETE FROM queue.procrastinate_jobs j
 WHERE j.status = 'doing' AND (j.worker_id IN (SELECT queue_worker FROM buried) OR NOT EXISTS (
         SELECT FROM queue.procrastinate_workers w
          WHERE w.id = j.worker_id AND w.last_heartbeat > pg_catalog.now() - make_interval(secs => %(dead_after)s)))
RETURNING (j.args->>'run')::bigint AS run;

-- seize --
-- Runs whose worker is there and has written nothing for too long: what it still writes is of no use
UPDATE pocketlet.run r SET worker_id = NULL, fence = r.fence + 1
 WHERE r.state = 'running' AND r.since < pocketlet.now() - make_interval(secs => %(seconds)s)
   AND NOT EXISTS (SELECT FROM pocketlet.step s
                    WHERE s.run_id = r.id AND s.at >= pocketlet.now() - make_interval(secs => %(seconds)s))
RETURNING r.id, r.agent_id;

-- bring_back --
-- Runs whose worker is gone, whose job was given up, or that wait in the queue without a job, are queued again
WITH orphan AS (
  SELECT r.id FROM pocketlet.run r
   WHERE (r.state = 'running' AND r.worker_id IS NULL) OR (r.id = ANY (%(runs)s) AND r.state IN ('queued', 'running', 'waiting'))
      OR (r.state = 'queued' AND NOT EXISTS (SELECT FROM queue.procrastinate_jobs j WHERE j.lock = 'run:' || r.id))
     FOR UPDATE SKIP LOCKED
), queued AS (
  UPDATE pocketlet.run r SET state = CASE r.state WHEN 'running' THEN 'queued' ELSE r.state END, worker_id = NULL,
         recoveries = r.recoveries + (r.state = 'running' AND r.worker_id IS NULL)::int
    FROM orphan WHERE r.id = orphan.id RETURNING r.id
), dropped AS (
  DELETE FROM queue.procrastinate_jobs j USING queued WHERE j.status = 'doing' AND j.lock = 'run:' || queued.id
  RETURNING j.id
)
SELECT count(pocketlet.enqueue(queued.id)) AS count, (SELECT count(*) FROM dropped) AS dropped FROM queued;
