-- case --
-- What a trial of a case is given; the model is that of the agent's newest run
SELECT r.input, r.raw, r.facts,
       (SELECT u.model FROM pocketlet.run u WHERE u.agent_id = c.agent_id AND u.kind = 'run' AND u.model IS NOT NULL
         ORDER BY u.id DESC LIMIT 1) AS model, CASE WHEN r.input->>'label' = 'outside' THEN 'outside' ELSE 'owner' END AS label
  FROM pocketlet.cases c JOIN pocketlet.run r ON r.id = c.run_id WHERE c.id = %(case)s;

-- add --
-- Attempts of one purpose count from 1
INSERT INTO pocketlet.trial (agent_id, revision, draft, case_id, purpose, run_id, attempt)
SELECT %(agent)s, %(revision)s, %(draft)s, %(case)s, %(purpose)s, %(run)s, 1 + count(*)
  FROM pocketlet.trial t WHERE t.agent_id = %(agent)s AND t.draft = %(draft)s AND t.case_id = %(case)s AND t.purpose = %(purpose)s;

-- of_run --
-- The trial that a run belongs to
SELECT t.revision, t.draft, t.case_id AS case, t.purpose, t.gates, r.curation, r.model
  FROM pocketlet.trial t JOIN pocketlet.run r ON r.id = t.run_id WHERE t.run_id = %(run)s;

-- verdict --
-- Once it has run
UPDATE pocketlet.trial SET verdict = %(verdict)s, evidence = %(evidence)s WHERE run_id = %(run)s;

-- listing --
-- The newest first: all, what was made for a draft's sake, with a revision, before a run
SELECT t.case_id AS case, c.run_id AS case_run, t.run_id AS run, t.revision, t.purpose, t.gates, t.attempt, t.verdict, t.evidence,
       o.input->>'subject' AS subject, m.model, m.state,
       coalesce((SELECT sum(l.cost) FROM pocketlet.ledger l WHERE l.run_id = t.run_id), 0) AS cost_usd
  FROM pocketlet.trial t JOIN pocketlet.cases c ON c.id = t.case_id JOIN pocketlet.run o ON o.id = c.run_id
  JOIN pocketlet.run m ON m.id = t.run_id
 WHERE t.agent_id = %(agent)s AND (%(draft)s::int IS NULL OR t.draft = %(draft)s)
   AND (%(revision)s::int IS NULL OR t.revision = %(revision)s) AND (%(below)s::bigint IS NULL OR t.run_id < %(below)s)
 ORDER BY t.run_id DESC LIMIT %(most)s;

-- plan --
-- What was known before
SELECT findings, unchanged FROM pocketlet.candidate WHERE agent_id = %(agent)s AND revision = %(draft)s;

-- admissible --
-- A case on its way to three passes; whether a trial of it is under way
SELECT EXISTS (SELECT FROM pocketlet.trial t WHERE t.case_id = c.id AND t.purpose = 'admission' AND t.verdict = 'pending') AS pending
  FROM pocketlet.cases c WHERE c.id = %(case)s AND c.state = 'candidate' AND c.passes BETWEEN 1 AND %(passes)s - 1;

-- alike --
-- Other cases whose runs were told the same lessons, and that are stable or on their way
SELECT count(*) AS others
  FROM pocketlet.cases c JOIN pocketlet.run r ON r.id = c.run_id
  JOIN pocketlet.run o ON o.agent_id = r.agent_id AND o.lessons = r.lessons AND o.id <> r.id
  JOIN pocketlet.cases k ON k.run_id = o.id
 WHERE c.id = %(case)s AND (k.state = 'stable' OR (k.state = 'candidate' AND EXISTS (
         SELECT FROM pocketlet.trial t WHERE t.case_id = k.id AND t.purpose = 'admission')));
