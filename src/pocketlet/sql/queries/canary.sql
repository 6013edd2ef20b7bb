-- standing --
-- The lessons in force that the gate adopted, by what people said of the first runs that cite them
WITH came AS (
  SELECT l.id, l.name, l.expect, min(r.n) AS revision
    FROM pocketlet.agent a
    JOIN pocketlet.revision c ON c.agent_id = a.id AND c.n = a.current
    JOIN pocketlet.lesson l ON l.id = ANY (c.lessons)
    JOIN pocketlet.revision r ON r.agent_id = a.id AND l.id = ANY (r.lessons)
   WHERE a.id = %(agent)s AND l.run_id IS NOT NULL
     AND (%(run)s::bigint IS NULL OR l.id = ANY ((SELECT o.lessons FROM pocketlet.run o WHERE o.id = %(run)s)::bigint[]))
   GROUP BY l.id
)
SELECT came.id AS lesson, came.name, came.expect, came.revision, r.parent, u.cited, u.judged, u.right, u.wrong, u.wrong_runs,
       u.among AS watched, o.right AS last_right, o.wrong AS last_wrong
  FROM came
  JOIN pocketlet.revision r ON r.agent_id = %(agent)s AND r.n = came.revision
 CROSS JOIN LATERAL (
   SELECT count(*) AS cited, count(c.verdict) AS judged, count(*) FILTER (WHERE c.verdict = 'right') AS right,
          count(*) FILTER (WHERE c.verdict = 'wrong') AS wrong, coalesce(bool_or(c.id = %(run)s), false) AS among,
          coalesce(array_agg(c.id) FILTER (WHERE c.verdict = 'wrong'), '{}') AS wrong_runs
     FROM (SELECT * FROM pocketlet.citing_run v WHERE v.agent_id = %(agent)s AND came.id = ANY (v.lessons)
            ORDER BY v.id LIMIT %(runs)s) c) u
 CROSS JOIN LATERAL (
   SELECT count(*) FILTER (WHERE c.verdict = 'right') AS right, count(*) FILTER (WHERE c.verdict = 'wrong') AS wrong
     FROM (SELECT * FROM pocketlet.citing_run v
            WHERE v.agent_id = %(agent)s AND came.id = ANY (v.lessons) AND v.verdict IN ('right', 'wrong')
            ORDER BY v.id DESC LIMIT %(last)s) c) o
 ORDER BY came.id;

-- asked_to_retire --
-- Whether the owner is being asked already, or was and said no
SELECT d.revision FROM pocketlet.decision d WHERE d.agent_id = %(agent)s AND d.evidence->'retires_lesson' = to_jsonb(%(lesson)s::bigint);

-- case --
-- That which the lesson was learned for, and which nothing else vouches for
SELECT k.id FROM pocketlet.candidate c JOIN pocketlet.cases k ON k.id = c.case_id
 WHERE c.agent_id = %(agent)s AND c.revision = %(revision)s AND NOT k.pinned AND NOT k.accepted;
