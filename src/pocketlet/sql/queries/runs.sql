-- create --
-- A run, pinned to its revision
INSERT INTO pocketlet.run (agent_id, kind, revision, input, raw, facts, label, feedback_id, case_id, model, curation, dry)
VALUES (%(agent)s, %(kind)s, %(revision)s, %(input)s, %(raw)s, %(facts)s, %(label)s, %(feedback)s, %(case)s, %(model)s,
        %(curation)s, %(dry)s)
RETURNING id;

-- enqueue --
-- In the transaction of the caller
SELECT pocketlet.enqueue(%(run)s);

-- claim --
-- A worker takes it
SELECT pocketlet.claim_run(%(run)s, %(worker)s) AS fence;

-- load --
-- What the loop needs
SELECT id, agent_id, kind, revision, state, input, facts, label, briefing, fence, stop_requested, feedback_id, case_id, curation,
       model, dry, recoveries
  FROM pocketlet.run WHERE id = %(run)s;

-- raw --
-- The input as it came
SELECT raw FROM pocketlet.run WHERE id = %(run)s;

-- rest --
-- Parks or ends it
SELECT pocketlet.rest(%(run)s, %(fence)s, %(state)s, %(facts)s);

-- put_off --
-- For later
SELECT pocketlet.put_off(%(run)s, %(fence)s, %(until)s, %(why)s);

-- hold --
-- Still ours? Was it asked to stop? And how many seconds has it left?
SELECT pocketlet.hold(%(run)s, %(fence)s), r.stop_requested AS stop,
       extract(epoch FROM r.deadline_at - pocketlet.now())::float8 AS left FROM pocketlet.run r WHERE r.id = %(run)s;

-- begin --
-- Its time runs from when it is first taken up
UPDATE pocketlet.run SET deadline_at = pocketlet.now() + make_interval(secs => %(seconds)s)
 WHERE id = %(run)s AND fence = %(fence)s AND deadline_at IS NULL;

-- has_slot --
-- Whether a trigger waits for it, and so tells of its failure
SELECT FROM pocketlet.slot WHERE run_id = %(run)s;

-- start_briefing --
-- Once, before the first model call
UPDATE pocketlet.run SET briefing = %(briefing)s, briefing_hash = %(hash)s, overhead_tokens = %(overhead)s,
       lessons = %(lessons)s, model = %(model)s
 WHERE id = %(run)s AND fence = %(fence)s AND state = 'running' AND briefing IS NULL;

-- stop --
-- At once where nobody works on it
UPDATE pocketlet.run SET stop_requested = true,
       state = CASE WHEN state = 'running' THEN state ELSE 'stopped' END,
       outcome = CASE WHEN state = 'running' THEN outcome ELSE 'stopped' END,
       ended_at = CASE WHEN state = 'running' THEN NULL ELSE pocketlet.now() END
 WHERE id = %(run)s AND state IN ('queued', 'running', 'waiting')
RETURNING state;

-- retry --
-- On from the journal; the slot that it was started for is open again, and with it the list of which that is an item
-- The slot is locked in any case: whoever settles it at this moment comes before or after
WITH slot AS (
  UPDATE pocketlet.slot SET state = 'claimed', reason = '', ended_at = NULL
   WHERE run_id = %(run)s AND state IN ('claimed', 'failed')
  RETURNING parent
), list AS (
  UPDATE pocketlet.slot p SET state = 'claimed', reason = '', ended_at = NULL FROM slot
   WHERE p.id = slot.parent AND p.state IN ('claimed', 'failed')
)
UPDATE pocketlet.run SET state = 'queued', stop_requested = false, error = NULL, hint = NULL, exit_code = NULL,
       outcome = NULL, ended_at = NULL, deadline_at = NULL, recoveries = 0
 WHERE id = %(run)s AND state IN ('failed', 'stopped')
RETURNING id;

-- listing --
-- The newest first
SELECT r.id AS run, r.kind, r.revision, r.state, r.outcome, r.result, r.error, r.facts, r.input->>'subject' AS subject,
       r.input->>'sender' AS sender, r.created_at, r.ended_at,
       coalesce((SELECT sum(l.cost) FROM pocketlet.ledger l WHERE l.run_id = r.id), 0) AS cost_usd
  FROM pocketlet.run r WHERE r.agent_id = %(agent)s ORDER BY r.id DESC LIMIT %(limit)s;

-- state --
-- Where it stands
SELECT state FROM pocketlet.run WHERE id = %(run)s;

-- ending --
-- How it stands
SELECT state, outcome, result, error, hint, exit_code FROM pocketlet.run WHERE id = %(run)s;

-- briefing_hash --
-- What it was told, in short
SELECT briefing_hash FROM pocketlet.run WHERE id = %(run)s;

-- started_by --
-- Which run a mail started
SELECT id FROM pocketlet.run WHERE kind = 'run' AND input->>'message_id' = %(message_id)s ORDER BY id;

-- add_result --
-- Written with the run's end, in one transaction
WITH version AS (
  UPDATE pocketlet.agent SET memory_version = memory_version + 1 WHERE id = %(agent_id)s RETURNING memory_version
)
INSERT INTO {schema}.results (run, outcome, entity, subject, summary, integrity, author, origin_run, v_from)
SELECT %(run)s, %(outcome)s, %(entity)s, %(subject)s, %(summary)s, %(label)s, 'run', %(run)s, memory_version FROM version
ON CONFLICT (run) WHERE v_from > 0 DO NOTHING;
