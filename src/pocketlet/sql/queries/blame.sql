-- line --
-- A revision and all that it descends from, the oldest first: who made it, on whose word, and what that cost
SELECT r.n AS revision, r.author, r.reason, r.created_at, r.feedback_id AS feedback, f.verdict, f.comment, f.run_id AS run,
       r.run_id AS curation, (
         SELECT coalesce(sum(l.cost), 0) FROM pocketlet.ledger l
          WHERE l.run_id = r.run_id OR l.run_id IN (
                  SELECT t.run_id FROM pocketlet.trial t
                    JOIN pocketlet.revision d ON d.agent_id = t.agent_id AND d.n = t.draft
                   WHERE t.agent_id = r.agent_id AND (d.n = r.n OR d.run_id = r.run_id)
                     AND t.gates)) AS cost_usd
  FROM pocketlet.revision r
  LEFT JOIN pocketlet.feedback f ON f.id = r.feedback_id
 WHERE r.agent_id = %(agent)s AND r.n IN (SELECT pocketlet.line(%(agent)s, %(revision)s)) ORDER BY r.n;

-- trial --
-- What a run was tried for
SELECT t.case_id AS case, c.run_id AS case_run, t.revision, t.draft, t.purpose, t.attempt, t.verdict, t.evidence
  FROM pocketlet.trial t JOIN pocketlet.cases c ON c.id = t.case_id WHERE t.run_id = %(run)s;
