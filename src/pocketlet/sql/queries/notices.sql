-- report --
-- The same problem again only counts; the newest words are shown
INSERT INTO pocketlet.notice (agent_id, problem, title, hint, run_id, count)
VALUES (%(agent)s, %(problem)s, %(title)s, %(hint)s, %(run)s, coalesce(%(count)s, 1))
ON CONFLICT (problem) WHERE resolved_at IS NULL DO UPDATE
   SET count = coalesce(%(count)s, notice.count + 1), last_at = pocketlet.now(), title = excluded.title, hint = excluded.hint,
       run_id = coalesce(excluded.run_id, notice.run_id)
RETURNING id, count;

-- resolve --
-- It is over
UPDATE pocketlet.notice SET resolved_at = pocketlet.now(), resolution = %(how)s
 WHERE problem = %(problem)s AND resolved_at IS NULL RETURNING id;

-- resolve_stale --
-- Problems of one kind that were reported again and again, and are no more
UPDATE pocketlet.notice SET resolved_at = pocketlet.now(), resolution = %(how)s
 WHERE starts_with(problem, %(kind)s) AND resolved_at IS NULL
   AND last_at < pocketlet.now() - make_interval(secs => %(seconds)s);

-- dismiss --
-- By the owner's word
UPDATE pocketlet.notice SET resolved_at = pocketlet.now(), resolution = 'dismissed by the owner'
 WHERE id = %(id)s AND resolved_at IS NULL RETURNING id;

-- reopen --
-- By the owner's word, too; not if the problem has a newer notice
UPDATE pocketlet.notice n SET resolved_at = NULL, resolution = ''
 WHERE n.id = %(id)s AND n.resolved_at IS NOT NULL AND n.resolution = 'dismissed by the owner'
   AND NOT EXISTS (SELECT FROM pocketlet.notice o WHERE o.problem = n.problem AND o.resolved_at IS NULL) RETURNING n.id;

-- standing --
-- What is open, the newest first
SELECT n.id AS notice, a.name AS agent, n.problem, n.title, n.hint, n.run_id AS run, n.count, n.first_at, n.last_at
  FROM pocketlet.notice n LEFT JOIN pocketlet.agent a ON a.id = n.agent_id
 WHERE n.resolved_at IS NULL ORDER BY n.last_at DESC, n.id DESC;
