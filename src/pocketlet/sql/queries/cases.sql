-- keep --
-- One case a run; its scope is what its run was about
INSERT INTO pocketlet.cases (agent_id, run_id, scope)
SELECT %(agent)s, r.id, r.facts::text FROM pocketlet.run r WHERE r.id = %(run)s
ON CONFLICT (run_id) DO NOTHING RETURNING id;

-- of_run --
-- The case that is there already
SELECT id FROM pocketlet.cases WHERE run_id = %(run)s;

-- accept --
-- The live verdict is the first pass; it is made with the model of the run
UPDATE pocketlet.cases c SET accepted = true, passes = greatest(c.passes, 1), model = coalesce(c.model, r.model)
  FROM pocketlet.run r WHERE c.id = %(case)s AND r.id = c.run_id AND c.state <> 'retired';

-- unaccept --
-- What was right is right no more
UPDATE pocketlet.cases SET accepted = false, passes = 0, state = CASE WHEN state = 'stable' THEN 'candidate' ELSE state END
 WHERE id = %(case)s AND state <> 'retired';

-- tried --
-- One trial on what is in force; with another model the count begins anew
UPDATE pocketlet.cases c
   SET passes = n.passes, model = %(model)s,
       state = CASE WHEN NOT %(passed)s AND c.state = 'stable' AND c.model IS NOT DISTINCT FROM %(model)s THEN c.state
                    WHEN n.passes >= %(needed)s AND (c.state = 'stable' OR c.pinned OR (
                           SELECT count(*) FROM pocketlet.cases o
                            WHERE o.agent_id = c.agent_id AND o.scope = c.scope AND o.state = 'stable') < %(most)s) THEN 'stable'
                    ELSE 'candidate' END
  FROM (SELECT id, CASE WHEN NOT %(passed)s THEN 0
                        WHEN model IS NOT NULL AND model <> %(model)s THEN 1 ELSE passes + 1 END AS passes
          FROM pocketlet.cases WHERE id = %(case)s) n
 WHERE c.id = n.id AND c.state <> 'retired';

-- rebase --
-- From stable back to candidate
UPDATE pocketlet.cases SET state = 'candidate', passes = 0 WHERE id = %(case)s AND state = 'stable';

-- retire --
-- With the reason, once
UPDATE pocketlet.cases SET state = 'retired', reason = %(reason)s, retired_by = %(feedback)s, retired_in = %(revision)s
 WHERE id = %(case)s AND state <> 'retired';

-- come_back --
-- What one revision retired
UPDATE pocketlet.cases
   SET state = 'candidate', passes = CASE WHEN accepted THEN 1 ELSE 0 END, reason = NULL, retired_by = NULL, retired_in = NULL
 WHERE agent_id = %(agent)s AND retired_in = %(revision)s AND state = 'retired';

-- follow --
-- What a revision retired that is not on the line comes back, to be admitted anew; what one on the line did is retired
UPDATE pocketlet.cases c
   SET state = CASE WHEN l.n IS NULL THEN 'candidate' ELSE 'retired' END,
       passes = CASE WHEN l.n IS NULL AND c.accepted THEN 1 ELSE 0 END
  FROM pocketlet.cases k LEFT JOIN pocketlet.line(%(agent)s, %(revision)s) AS l (n) ON l.n = k.retired_in
 WHERE k.agent_id = %(agent)s AND k.retired_in IS NOT NULL AND c.id = k.id AND (c.state = 'retired') = (l.n IS NULL);

-- quarantine --
-- For as long as it can't be tried
UPDATE pocketlet.cases SET state = 'quarantined', reason = %(reason)s WHERE id = %(case)s AND state <> 'retired';

-- pin --
-- By the owner's word
UPDATE pocketlet.cases SET pinned = %(pinned)s WHERE id = %(case)s AND agent_id = %(agent)s;

-- add_assertion --
-- Written once
INSERT INTO pocketlet.assertion (case_id, feedback_id, kind, expected, revision)
VALUES (%(case)s, %(feedback)s, %(kind)s, %(expected)s, %(revision)s);

-- assertions --
-- Those of the case itself, and those that this revision or one that it descends from came with
SELECT s.kind, s.expected, s.feedback_id FROM pocketlet.assertion s JOIN pocketlet.cases c ON c.id = s.case_id
 WHERE c.id = %(case)s AND (s.revision IS NULL OR s.revision IN (SELECT pocketlet.line(c.agent_id, %(revision)s)))
 ORDER BY s.id;

-- endorsed --
-- The last text that the owner stood for: their own version, or the run's
SELECT f.id, f.edited, f.run_id AS run FROM pocketlet.feedback f JOIN pocketlet.cases c ON c.run_id = f.run_id
 WHERE c.id = %(case)s AND (f.edited IS NOT NULL OR f.verdict = 'right') ORDER BY f.id DESC LIMIT 1;

-- words --
-- All that the owner said of the case's run
SELECT coalesce(string_agg(f.comment, E'\n' ORDER BY f.id), '') AS words
  FROM pocketlet.cases c JOIN pocketlet.feedback f ON f.run_id = c.run_id WHERE c.id = %(case)s AND f.comment <> '';

-- vouches --
-- Whether the run's own work vouches for the case
SELECT accepted, run_id AS run FROM pocketlet.cases WHERE id = %(case)s;

-- vocabulary --
-- The texts that the agent's owner cared about so far, the newest first: not those of drafts that never counted
SELECT s.expected->>'text' AS text
  FROM pocketlet.cases c JOIN pocketlet.cases o ON o.agent_id = c.agent_id JOIN pocketlet.assertion s ON s.case_id = o.id
 WHERE c.id = %(case)s AND s.kind IN ('contains', 'absent')
   AND (s.revision IS NULL OR s.revision IN (SELECT pocketlet.line(c.agent_id, %(revision)s)))
 GROUP BY s.expected->>'text' ORDER BY max(s.id) DESC LIMIT %(most)s;

-- meant --
-- Whom the case's run wrote to, by what has become of its mails since
SELECT e.destination AS to FROM pocketlet.effect e JOIN pocketlet.cases c ON c.run_id = e.run_id
 WHERE c.id = %(case)s AND e.kind = 'mail' AND e.state = ANY (%(states)s) GROUP BY e.destination ORDER BY min(e.step_seq);

-- mails --
-- What the run drafted
SELECT request FROM pocketlet.effect WHERE run_id = %(run)s AND kind = 'mail' AND state = ANY (%(states)s) ORDER BY step_seq;

-- result --
-- And what it said
SELECT result FROM pocketlet.run WHERE id = %(run)s;

-- calls --
-- And what it called
SELECT tool, request FROM pocketlet.step WHERE run_id = %(run)s AND kind = 'tool' AND error IS NULL ORDER BY seq;

-- open --
-- Every case that can still be tried, with its run's input
SELECT c.id, c.run_id AS run, c.state, c.accepted, c.passes, c.pinned, c.model, r.facts, r.input, r.raw,
       (SELECT u.model FROM pocketlet.run u WHERE u.agent_id = c.agent_id AND u.kind = 'run' AND u.model IS NOT NULL
         ORDER BY u.id DESC LIMIT 1) AS model_in_use,
       CASE WHEN r.input->>'label' = 'outside' THEN 'outside' ELSE 'owner' END AS label
  FROM pocketlet.cases c JOIN pocketlet.run r ON r.id = c.run_id
 WHERE c.agent_id = %(agent)s AND c.state <> 'retired' ORDER BY c.id DESC;

-- listing --
-- Every case, or those before one, the newest first
SELECT c.id AS case, c.run_id AS run, c.state, c.accepted, c.passes, c.pinned, c.scope, c.model, c.reason,
       c.retired_by, c.created_at, r.input->>'subject' AS subject
  FROM pocketlet.cases c JOIN pocketlet.run r ON r.id = c.run_id
 WHERE c.agent_id = %(agent)s AND (%(below)s::bigint IS NULL OR c.id < %(below)s) ORDER BY c.id DESC LIMIT %(most)s;
