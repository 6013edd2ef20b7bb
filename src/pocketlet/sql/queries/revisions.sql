-- get --
-- One revision, whole
SELECT manifest, instructions, skills, schema_files, lessons, tables, parent, reason, author, digest, feedback_id
  FROM pocketlet.revision WHERE agent_id = %(agent)s AND n = %(n)s;

-- lessons --
-- Lessons by id, in the order of their names so that exports are stable
SELECT id, name, topic, body, predicate, authority, label, feedback_id, run_id, expect,
       to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"') AS since
  FROM pocketlet.lesson WHERE id = ANY (%(ids)s) ORDER BY name;

-- names --
-- Lesson names that are taken, in any revision
SELECT name FROM pocketlet.lesson WHERE agent_id = %(agent)s;

-- add_lesson --
-- A lesson is written once
INSERT INTO pocketlet.lesson (agent_id, name, topic, body, predicate, authority, label, feedback_id, run_id, since, expect)
VALUES (%(agent)s, %(name)s, %(topic)s, %(body)s, %(predicate)s, %(authority)s, %(label)s, %(feedback)s, %(run)s, %(since)s,
        %(expect)s)
RETURNING id;

-- add --
-- The next revision
INSERT INTO pocketlet.revision (agent_id, n, parent, reason, author, feedback_id, run_id, manifest, instructions, skills,
                                schema_files, lessons, tables, digest)
SELECT %(agent)s, coalesce(max(n), 0) + 1, %(parent)s, %(reason)s,
       %(author)s, %(feedback)s, %(run)s, %(manifest)s, %(instructions)s, %(skills)s, %(schema_files)s, %(lessons)s,
       %(tables)s, %(digest)s
  FROM pocketlet.revision WHERE agent_id = %(agent)s
RETURNING n;

-- state --
-- What was decided on a revision; the agent's row is locked for what follows
SELECT a.current, r.parent, s.state
  FROM pocketlet.agent a
  JOIN pocketlet.revision r ON r.agent_id = a.id AND r.n = %(n)s
  JOIN pocketlet.revision_state s ON s.agent_id = a.id AND s.n = r.n
 WHERE a.id = %(agent)s FOR UPDATE OF a;

-- decide --
-- A decision is written once
INSERT INTO pocketlet.decision (agent_id, revision, verdict, author, because, evidence)
VALUES (%(agent)s, %(n)s, %(verdict)s, %(author)s, %(because)s, %(evidence)s);

-- point --
-- What new runs are pinned to
UPDATE pocketlet.agent SET current = %(n)s WHERE id = %(agent)s;

-- history --
-- Every revision, what was decided on it last (going back to it aside), and why
SELECT r.n AS revision, r.parent, r.reason, r.author, r.feedback_id AS feedback, r.run_id AS run, r.digest, r.created_at, s.state,
       d.author AS decided_by, d.because, d.evidence
  FROM pocketlet.revision r
  JOIN pocketlet.revision_state s ON s.agent_id = r.agent_id AND s.n = r.n
  LEFT JOIN LATERAL (SELECT o.author, o.because, o.evidence FROM pocketlet.decision o
                      WHERE o.agent_id = r.agent_id AND o.revision = r.n
                      ORDER BY o.verdict = 'rollback', o.id DESC LIMIT 1) d ON true
 WHERE r.agent_id = %(agent)s AND (%(below)s::int IS NULL OR r.n < %(below)s) ORDER BY r.n DESC LIMIT %(most)s;

-- before --
-- What counted before this revision first did
SELECT d.revision FROM pocketlet.decision d
 WHERE d.agent_id = %(agent)s AND d.verdict NOT IN ('ask', 'narrow', 'discard') AND d.revision <> %(n)s AND d.id < (
         SELECT min(f.id) FROM pocketlet.decision f
          WHERE f.agent_id = %(agent)s AND f.revision = %(n)s AND f.verdict NOT IN ('ask', 'narrow', 'discard'))
 ORDER BY d.id DESC LIMIT 1;
