-- add --
-- The owner's word
INSERT INTO pocketlet.feedback (agent_id, run_id, verdict, comment, edited, about, source)
VALUES (%(agent)s, %(run)s, %(verdict)s, %(comment)s, %(edited)s, %(about)s, %(source)s) RETURNING id;

-- step --
-- Whether a run has it
SELECT seq FROM pocketlet.step WHERE run_id = %(run)s AND seq = %(seq)s;

-- next --
-- What waits longest, if no curation is under way
SELECT f.run_id FROM pocketlet.agent a JOIN pocketlet.feedback f ON f.agent_id = a.id
 WHERE a.id = %(agent)s AND f.outcome IS NULL AND f.curation_run IS NULL AND f.run_id IS NOT NULL
   AND NOT EXISTS (SELECT FROM pocketlet.run r
                    WHERE r.agent_id = a.id AND r.kind = 'manager' AND r.state IN ('queued', 'running', 'waiting')
                      AND r.id IS DISTINCT FROM %(ending)s)
   AND NOT EXISTS (SELECT FROM pocketlet.candidate c
                     JOIN pocketlet.revision_state s ON s.agent_id = c.agent_id AND s.n = c.revision
                    WHERE c.agent_id = a.id AND s.state = 'draft')
 ORDER BY f.id LIMIT 1;

-- waiting_on --
-- All that was said of one run and waits, or was not taken up because its curation failed
SELECT f.id, f.comment, f.edited FROM pocketlet.feedback f LEFT JOIN pocketlet.run c ON c.id = f.curation_run
 WHERE f.agent_id = %(agent)s AND f.run_id = %(run)s
   AND ((f.outcome IS NULL AND f.curation_run IS NULL) OR c.state IN ('failed', 'stopped')) ORDER BY f.id;

-- told --
-- Lessons that the run had in its briefing and that are in force, with the words that they came of
SELECT l.name, l.expect, f.comment
  FROM pocketlet.run r
  JOIN pocketlet.agent a ON a.id = r.agent_id
  JOIN pocketlet.revision c ON c.agent_id = a.id AND c.n = a.current
  JOIN pocketlet.lesson l ON l.id = ANY (r.lessons) AND l.id = ANY (c.lessons)
  JOIN pocketlet.feedback f ON f.id = l.feedback_id
 WHERE r.id = %(run)s AND a.id = %(agent)s AND f.comment <> '' ORDER BY l.id;

-- curated_by --
-- The manager's run that takes it up
UPDATE pocketlet.feedback SET curation_run = %(run)s, outcome = NULL WHERE id = ANY (%(ids)s);

-- of_curation --
-- What a manager's run is about
SELECT id, agent_id, run_id, verdict, comment, edited, about, source FROM pocketlet.feedback
 WHERE curation_run = %(run)s ORDER BY id;

-- get --
-- One feedback
SELECT id, agent_id, run_id, verdict, comment, edited, about, source FROM pocketlet.feedback WHERE id = %(id)s;

-- settle --
-- What became of it
UPDATE pocketlet.feedback SET outcome = %(outcome)s WHERE id = ANY (%(ids)s);

-- settle_revision --
-- What became of the feedback behind a revision
UPDATE pocketlet.feedback f SET outcome = %(outcome)s
  FROM pocketlet.revision r
 WHERE r.agent_id = %(agent)s AND r.n = %(revision)s AND (f.id = r.feedback_id OR f.curation_run = r.run_id);

-- take_back --
-- It is to be taken up anew
UPDATE pocketlet.feedback SET curation_run = NULL, outcome = NULL WHERE id = ANY (%(ids)s);

-- draft_of --
-- What the manager drafted, or the narrower draft in its place
SELECT max(n) AS n FROM pocketlet.revision WHERE run_id = %(run)s HAVING max(n) IS NOT NULL;

-- outcome --
-- As a person sees it
SELECT id, run_id AS run, verdict, comment, about, source, outcome, curation_run FROM pocketlet.feedback WHERE id = %(id)s;

-- under_way --
-- Curations take turns, so whatever curation of the agent moves is the one that it waits for
SELECT r.id FROM pocketlet.feedback f JOIN pocketlet.run r ON r.agent_id = f.agent_id
 WHERE f.id = %(id)s AND f.outcome IS NULL AND r.state IN ('queued', 'running', 'waiting')
   AND (r.kind = 'manager' OR (r.kind = 'trial' AND EXISTS (
          SELECT FROM pocketlet.trial t WHERE t.run_id = r.id AND t.gates)))
 ORDER BY r.id;

-- curating --
-- What is at work for a curation
SELECT r.id FROM pocketlet.run r
 WHERE r.agent_id = %(agent)s AND r.state IN ('queued', 'running', 'waiting')
   AND (r.kind = 'manager' OR (r.kind = 'trial' AND EXISTS (
          SELECT FROM pocketlet.trial t WHERE t.run_id = r.id AND t.gates)))
 ORDER BY r.id LIMIT 1;

-- behind --
-- What a manager's run takes up, or what the curation of a replay does
SELECT f.id FROM pocketlet.feedback f JOIN pocketlet.run r ON f.curation_run IN (r.id, r.curation) WHERE r.id = %(run)s ORDER BY f.id;

-- reopen --
-- Of a curation that had failed, or of a draft on which the gate could not tell
UPDATE pocketlet.feedback f SET outcome = NULL
  FROM pocketlet.run r
 WHERE r.id = %(run)s AND (
         (r.kind = 'manager' AND f.curation_run = r.id)
         OR (r.kind = 'trial' AND f.curation_run = r.curation AND EXISTS (
               SELECT FROM pocketlet.trial t
                 JOIN pocketlet.revision_state s ON s.agent_id = t.agent_id AND s.n = t.draft
                 JOIN pocketlet.decision d ON d.agent_id = t.agent_id AND d.revision = t.draft
                WHERE t.run_id = r.id AND t.gates AND s.state = 'asked' AND d.evidence->>'rule' = 'unknown')));
