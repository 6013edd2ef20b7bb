-- add --
-- The owner's word
INSERT INTO pocketlet.feedback (agent_id, run_id, verdict, comment, edited)
VALUES (%(agent)s, %(run)s, %(verdict)s, %(comment)s, %(edited)s) RETURNING id;

-- curated_by --
-- The manager's run that takes it up
UPDATE pocketlet.feedback SET curation_run = %(run)s WHERE id = %(id)s;

-- get --
-- One feedback
SELECT id, agent_id, run_id, verdict, comment, edited FROM pocketlet.feedback WHERE id = %(id)s;

-- settle --
-- What became of it
UPDATE pocketlet.feedback SET outcome = %(outcome)s WHERE id = %(id)s;

-- settle_revision --
-- What became of the feedback behind a revision
UPDATE pocketlet.feedback f SET outcome = %(outcome)s
  FROM pocketlet.revision r WHERE r.agent_id = %(agent)s AND r.n = %(revision)s AND f.id = r.feedback_id;

-- draft_of --
-- What the manager drafted
SELECT n FROM pocketlet.revision WHERE run_id = %(run)s;

-- outcome --
-- As a person sees it
SELECT id, run_id AS run, verdict, comment, outcome, curation_run FROM pocketlet.feedback WHERE id = %(id)s;
