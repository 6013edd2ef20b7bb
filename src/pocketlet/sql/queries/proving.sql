-- add --
-- Written once, before anything is tried
INSERT INTO pocketlet.candidate (agent_id, revision, case_id, curation, feedback, findings, sample, pinned, retires, contested,
                                 touched, unchanged, narrowings, explicit, owner_decides,
                                 overhead, model)
VALUES (%(agent)s, %(revision)s, %(case)s, %(curation)s, %(feedback)s, %(findings)s, %(sample)s, %(pinned)s, %(retires)s,
        %(contested)s, %(touched)s, %(unchanged)s, %(narrowings)s, %(explicit)s, %(owner_decides)s,
        %(overhead)s, %(model)s);

-- get --
-- As it stands: what was found, what was tried, what was decided
SELECT c.revision, c.case_id, c.curation, c.feedback, c.findings, c.sample, c.pinned, c.retires, c.contested, c.touched, c.narrowings,
       c.explicit, c.owner_decides, c.overhead, c.model, c.unchanged, r.parent, s.state,
       (SELECT d.evidence->>'rule' FROM pocketlet.decision d
         WHERE d.agent_id = c.agent_id AND d.revision = c.revision ORDER BY d.id DESC LIMIT 1) AS rule,
       (SELECT count(*) FROM pocketlet.trial t JOIN pocketlet.run u ON u.id = t.run_id
         WHERE t.agent_id = c.agent_id AND u.curation = c.curation AND t.draft <> c.revision) AS spent,
       EXISTS (SELECT FROM pocketlet.trial t
                WHERE t.agent_id = c.agent_id AND t.draft = c.revision AND t.verdict = 'pending'
                  AND t.gates) AS pending
  FROM pocketlet.agent a
  JOIN pocketlet.candidate c ON c.agent_id = a.id AND c.revision = %(revision)s
  JOIN pocketlet.revision r ON r.agent_id = a.id AND r.n = c.revision
  JOIN pocketlet.revision_state s ON s.agent_id = a.id AND s.n = c.revision
 WHERE a.id = %(agent)s;

-- copy_assertions --
-- The narrower draft is judged as the wider one was
INSERT INTO pocketlet.assertion (case_id, feedback_id, kind, expected, revision)
SELECT s.case_id, s.feedback_id, s.kind, s.expected, %(to)s
  FROM pocketlet.assertion s JOIN pocketlet.cases c ON c.id = s.case_id
 WHERE c.agent_id = %(agent)s AND s.revision = %(from)s ORDER BY s.id;
