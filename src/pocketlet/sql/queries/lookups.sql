-- search --
-- Two legs: candidates by the text index, and the newest rows; ranked together
WITH q AS (SELECT websearch_to_tsquery('simple', %(words)s) AS words),
m AS MATERIALIZED (
  (SELECT t.id FROM memories t, q WHERE t.tsv @@ q.words AND t.v_to IS NULL AND t.deleted_at IS NULL
      AND (%(entity)s::text IS NULL OR t.entity = %(entity)s) LIMIT 500)
  UNION
  (SELECT n.id FROM (SELECT t.id, t.tsv, t.entity FROM memories t WHERE t.v_to IS NULL AND t.deleted_at IS NULL
      ORDER BY t.at DESC LIMIT 2000) n, q WHERE n.tsv @@ q.words AND (%(entity)s::text IS NULL OR n.entity = %(entity)s))
), r AS MATERIALIZED (
  (SELECT t.id FROM results t, q WHERE t.tsv @@ q.words AND t.deleted_at IS NULL
      AND (%(entity)s::text IS NULL OR t.entity = %(entity)s) LIMIT 500)
)
SELECT found.source, found.id, found.day, found.entity, found.subject, found.body, found.integrity FROM (
  SELECT 'memories' AS source, t.id, t.at::date AS day, t.entity, t.subject, t.body, t.integrity, ts_rank(t.tsv, q.words) AS rank
    FROM m JOIN memories t USING (id), q
  UNION ALL
  SELECT 'results', t.id, t.at::date, t.entity, t.subject, t.summary, t.integrity, ts_rank(t.tsv, q.words)
    FROM r JOIN results t USING (id), q
) found
ORDER BY found.rank DESC, found.source, found.id DESC LIMIT 20

-- read_memories --
-- One page of a memory
SELECT subject, substr(body, %(start)s::int, %(length)s::int), length(body), integrity FROM memories
 WHERE id = %(id)s::bigint AND deleted_at IS NULL

-- read_results --
-- One page of a result
SELECT subject, substr(summary, %(start)s::int, %(length)s::int), length(summary), integrity FROM results
 WHERE id = %(id)s::bigint AND deleted_at IS NULL

-- remember --
-- In the transaction of the step; the version first, so that reads can be repeated as of it
WITH version AS (
  UPDATE pocketlet.agent SET memory_version = memory_version + 1 WHERE id = %(agent_id)s RETURNING memory_version
)
INSERT INTO {schema}.memories (kind, subject, body, entity, integrity, author, origin_run, origin_step, origin_ref, v_from)
SELECT %(kind)s, %(subject)s, %(body)s, %(entity)s, %(label)s, 'run', %(run)s, %(step)s, %(ref)s, memory_version FROM version;
