-- upstream --
-- By skill, what was installed last on the way to a revision, and what that revision holds of it
WITH RECURSIVE way AS (
  SELECT n, parent FROM pocketlet.revision WHERE agent_id = %(agent)s AND n = %(n)s
  UNION
  SELECT r.n, r.parent FROM way JOIN pocketlet.revision r ON r.agent_id = %(agent)s AND r.n = way.parent
)
SELECT DISTINCT ON (s.name) s.name, s.revision, s.source, s.commit_id, s.digest, s.installed, s.permissions, s.files,
       s.others, s.installed_at, r.skills -> s.name AS put
  FROM pocketlet.skill_source s
  JOIN way ON way.n = s.revision
  JOIN pocketlet.revision r ON r.agent_id = s.agent_id AND r.n = s.revision
 WHERE s.agent_id = %(agent)s
 ORDER BY s.name, s.revision DESC;

-- add --
-- What came with a revision
INSERT INTO pocketlet.skill_source (agent_id, revision, name, source, commit_id, digest, installed, permissions, files, others)
VALUES (%(agent)s, %(revision)s, %(name)s, %(source)s, %(commit)s, %(digest)s, %(installed)s, %(permissions)s, %(files)s, %(others)s);

-- forget --
-- From this revision on, a skill of that name came from nowhere
INSERT INTO pocketlet.skill_source (agent_id, revision, name, source, digest, installed)
VALUES (%(agent)s, %(revision)s, %(name)s, '', '', '');

-- put_by --
-- By skill that a revision has not, the last one on the way to it that had it
WITH RECURSIVE way AS (
  SELECT n, parent, skills FROM pocketlet.revision WHERE agent_id = %(agent)s AND n = %(n)s
  UNION ALL
  SELECT r.n, r.parent, r.skills FROM way JOIN pocketlet.revision r ON r.agent_id = %(agent)s AND r.n = way.parent
)
SELECT k.name, max(way.n) AS revision FROM way CROSS JOIN LATERAL jsonb_object_keys(way.skills) AS k(name)
 WHERE NOT EXISTS (SELECT FROM way w WHERE w.n = %(n)s AND w.skills ? k.name)
 GROUP BY k.name ORDER BY k.name;
