-- add --
-- One trial a case and draft
INSERT INTO pocketlet.trial (agent_id, revision, case_id, run_id, verdict, evidence)
VALUES (%(agent)s, %(revision)s, %(case)s, %(run)s, %(verdict)s, %(evidence)s);

-- of_run --
-- The trial that a run belongs to
SELECT t.id, t.case_id AS case, c.run_id AS case_run
  FROM pocketlet.trial t JOIN pocketlet.cases c ON c.id = t.case_id WHERE t.run_id = %(run)s;

-- verdict --
-- Once the trial has run
UPDATE pocketlet.trial SET verdict = %(verdict)s, evidence = evidence || %(evidence)s WHERE id = %(id)s;

-- report --
-- A trial whose run failed or was stopped says nothing: unknown
SELECT t.case_id AS case, c.run_id AS case_run, t.run_id AS run, t.evidence,
       CASE WHEN t.verdict = 'pending' AND r.state IN ('failed', 'stopped') THEN 'unknown' ELSE t.verdict END AS verdict,
       o.input->>'subject' AS subject, r.error,
       coalesce((SELECT sum(l.cost) FROM pocketlet.ledger l WHERE l.run_id = t.run_id), 0) AS cost_usd
  FROM pocketlet.trial t JOIN pocketlet.cases c ON c.id = t.case_id JOIN pocketlet.run o ON o.id = c.run_id
  LEFT JOIN pocketlet.run r ON r.id = t.run_id
 WHERE t.agent_id = %(agent)s AND t.revision = %(revision)s ORDER BY t.id;
