-- plan --
-- What was known of a draft before it was tried
SELECT case_id, retires, contested, feedback, parent
  FROM pocketlet.candidate c JOIN pocketlet.revision r ON r.agent_id = c.agent_id AND r.n = c.revision
 WHERE c.agent_id = %(agent)s AND c.revision = %(revision)s;

-- overtaken --
-- Asked drafts whose parent is not the revision that counts
SELECT c.revision AS n, c.feedback, r.parent
  FROM pocketlet.agent a
  JOIN pocketlet.candidate c ON c.agent_id = a.id
  JOIN pocketlet.revision r ON r.agent_id = a.id AND r.n = c.revision
  JOIN pocketlet.revision_state s ON s.agent_id = a.id AND s.n = c.revision
 WHERE a.id = %(agent)s AND s.state = 'asked' AND r.parent <> a.current ORDER BY c.revision;

-- evidence --
-- What was decided on it last
SELECT evidence FROM pocketlet.decision WHERE agent_id = %(agent)s AND revision = %(revision)s ORDER BY id DESC LIMIT 1;
