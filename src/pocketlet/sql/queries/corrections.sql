-- version --
-- First in every memory write: its row lock orders them
UPDATE pocketlet.agent SET memory_version = memory_version + 1 WHERE id = %(agent)s RETURNING memory_version;

-- get --
-- A row, whether or not it still counts; the run of an imported one was another installation's
SELECT id, kind, entity, subject, integrity, secrecy, CASE WHEN v_from > 0 THEN origin_run END AS origin_run
  FROM (TABLE {schema}.memories UNION ALL TABLE {schema}.memories_before) AS every WHERE id = %(id)s;

-- supersede --
-- Ends a row that counts: it leaves the table that runs read
WITH old AS (DELETE FROM {schema}.memories WHERE id = %(id)s AND deleted_at IS NULL RETURNING *)
INSERT INTO {schema}.memories_before (id, kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run,
                                      origin_step, origin_ref, valid_from, valid_to, deleted_at, v_from, v_to, tsv)
SELECT id, kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step, origin_ref, valid_from,
       pocketlet.now(), deleted_at, v_from, %(version)s, tsv
  FROM old;

-- insert --
-- The owner's words in its place
INSERT INTO {schema}.memories (kind, entity, subject, body, secrecy, integrity, author, origin_ref, v_from)
VALUES (%(kind)s, %(entity)s, %(subject)s, %(body)s, %(secrecy)s, 'owner', 'owner', %(ref)s, %(version)s) RETURNING id;

-- copy --
-- A row as it was, from now on: history is not rewritten
INSERT INTO {schema}.memories (kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step,
                               origin_ref, v_from)
SELECT kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step, origin_ref, %(version)s
  FROM {schema}.memories_before WHERE id = %(id)s RETURNING id;

-- last --
-- The last that the owner said of a row, or that made it
SELECT about FROM pocketlet.feedback
 WHERE agent_id = %(agent)s AND about->>'table' = 'memories'
   AND (about->'row' = to_jsonb(%(row)s::bigint) OR about->'new' = to_jsonb(%(row)s::bigint)
        OR about->'from' = to_jsonb(%(row)s::bigint))
 ORDER BY id DESC LIMIT 1;

-- run --
-- Whether it is this agent's
SELECT id FROM pocketlet.run WHERE id = %(run)s AND agent_id = %(agent)s;
