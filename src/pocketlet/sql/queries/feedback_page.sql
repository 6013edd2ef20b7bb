-- given --
-- What was said, the newest first: of an agent, of one run, or one word
SELECT f.id AS feedback, f.run_id AS run, r.input->>'subject' AS subject, f.verdict, f.comment, f.edited, f.about, f.source, f.at,
       f.outcome, f.curation_run AS curation
  FROM pocketlet.feedback f LEFT JOIN pocketlet.run r ON r.id = f.run_id
 WHERE f.agent_id = %(agent)s AND (%(run)s::bigint IS NULL OR f.run_id = %(run)s)
   AND (%(one)s::bigint IS NULL OR f.id = %(one)s) AND (%(below)s::bigint IS NULL OR f.id < %(below)s)
 ORDER BY f.id DESC LIMIT %(most)s;

-- counts --
-- Whether the current revision is this one, or was made of it
SELECT FROM pocketlet.line(%(agent)s, %(current)s) AS l (n) WHERE l.n = %(revision)s;
