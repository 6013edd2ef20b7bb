-- version --
-- First in every memory write: its row lock orders them
UPDATE pocketlet.agent SET memory_version = memory_version + 1 WHERE id = %(agent)s RETURNING memory_version;

-- get --
-- A row, whether or not it still counts; the run of an imported one was another installation's
SELECT id, kind, entity, subject, integrity, secrecy, CASE WHEN v_from > 0 THEN origin_run END AS origin_run, v_to
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

-- word --
-- The last that concerns a row, also if it was forgotten with all of its source, or came back with that
SELECT f.id, f.at, f.about FROM pocketlet.feedback f
  LEFT JOIN pocketlet.feedback s ON s.agent_id = f.agent_id AND f.about->>'act' = 'restore' AND to_jsonb(s.id) = f.about->'of'
 WHERE f.agent_id = %(agent)s AND f.about->>'table' = 'memories'
   AND (f.about->'row' = to_jsonb(%(row)s::bigint) OR f.about->'new' = to_jsonb(%(row)s::bigint)
        OR f.about->'from' = to_jsonb(%(row)s::bigint)
        OR (f.about->>'act' = 'forget-source' AND f.about->'version' = to_jsonb(%(version)s::bigint))
        OR s.about->'version' = to_jsonb(%(version)s::bigint))
 ORDER BY f.id DESC LIMIT 1;

-- of_source --
-- What runs on their mails kept, and what is about them; the run of an imported row was another installation's
SELECT m.id FROM {schema}.memories m
  LEFT JOIN pocketlet.run r ON m.v_from > 0 AND r.id = m.origin_run AND r.agent_id = %(agent)s
 WHERE m.deleted_at IS NULL
   AND (lower((r.input->>'sender') COLLATE "C") = lower(%(sender)s::text COLLATE "C")
        OR (%(about)s AND lower(m.entity COLLATE "C") = lower(%(sender)s::text COLLATE "C")))
 ORDER BY m.id;

-- sweep --
-- As supersede, of many at once
WITH old AS (DELETE FROM {schema}.memories WHERE id = ANY (%(ids)s) AND deleted_at IS NULL RETURNING *)
INSERT INTO {schema}.memories_before (id, kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run,
                                      origin_step, origin_ref, valid_from, valid_to, deleted_at, v_from, v_to, tsv)
SELECT id, kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step, origin_ref, valid_from,
       pocketlet.now(), deleted_at, v_from, %(version)s, tsv
  FROM old;

-- swept --
-- A source that was forgotten, and whether that was taken back
SELECT f.about, EXISTS (SELECT FROM pocketlet.feedback b WHERE b.agent_id = f.agent_id AND b.about->>'act' = 'restore'
                           AND b.about->'of' = to_jsonb(f.id)) AS taken_back
  FROM pocketlet.feedback f
 WHERE f.agent_id = %(agent)s AND f.id = %(id)s AND f.about->>'act' = 'forget-source';

-- copy_swept --
-- All that ended in one version: it was that one act's
INSERT INTO {schema}.memories (kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step,
                               origin_ref, v_from)
SELECT kind, entity, at, subject, body, data, integrity, secrecy, author, origin_run, origin_step, origin_ref, %(version)s
  FROM {schema}.memories_before WHERE v_to = %(then)s ORDER BY id;
