-- keep --
-- One case a run
INSERT INTO pocketlet.cases (agent_id, run_id) VALUES (%(agent)s, %(run)s) ON CONFLICT (run_id) DO NOTHING RETURNING id;

-- of_run --
-- The case that is there already
SELECT id FROM pocketlet.cases WHERE run_id = %(run)s;

-- add_assertion --
-- Written once
INSERT INTO pocketlet.assertion (case_id, feedback_id, kind, expected, revision)
VALUES (%(case)s, %(feedback)s, %(kind)s, %(expected)s, %(revision)s);

-- assertions --
-- Those of the case itself, and those that this revision or one that it descends from came with
WITH RECURSIVE line AS (
  SELECT r.agent_id, r.n, r.parent FROM pocketlet.revision r JOIN pocketlet.cases c ON c.agent_id = r.agent_id
   WHERE c.id = %(case)s AND r.n = %(revision)s
  UNION ALL
  SELECT r.agent_id, r.n, r.parent FROM pocketlet.revision r JOIN line ON r.agent_id = line.agent_id AND r.n = line.parent
)
SELECT s.kind, s.expected FROM pocketlet.assertion s
 WHERE s.case_id = %(case)s AND (s.revision IS NULL OR s.revision IN (SELECT n FROM line))
 ORDER BY s.id;

-- meant --
-- Whom the case's run wrote to, by what has become of its mails since
SELECT e.destination AS to FROM pocketlet.effect e JOIN pocketlet.cases c ON c.run_id = e.run_id
 WHERE c.id = %(case)s AND e.kind = 'mail' AND e.state = ANY (%(states)s) GROUP BY e.destination ORDER BY min(e.step_seq);

-- mails --
-- What the run wanted to send
SELECT request FROM pocketlet.effect WHERE run_id = %(run)s AND kind = 'mail' AND state = ANY (%(states)s) ORDER BY step_seq;

-- result --
-- And what it said
SELECT result FROM pocketlet.run WHERE id = %(run)s;

-- open --
-- Every case that still counts, with its run's input. All do so far: stable, quarantined and retired are set by nobody
SELECT c.id AS case, c.run_id AS run, r.input, r.raw, r.facts, r.model,
       CASE WHEN r.input->>'label' = 'outside' THEN 'outside' ELSE 'owner' END AS label
  FROM pocketlet.cases c JOIN pocketlet.run r ON r.id = c.run_id
 WHERE c.agent_id = %(agent)s AND c.state <> 'retired' ORDER BY c.id;
