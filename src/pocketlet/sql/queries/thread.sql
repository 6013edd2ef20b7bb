-- answered --
-- Runs that began with one of these mails, the nearest in the thread first, then the newest
SELECT id, lower(input->>'sender') AS sender FROM pocketlet.run
 WHERE kind = 'run' AND input->>'message_id' = ANY (%(ids)s)
 ORDER BY array_position(%(ids)s::text[], input->>'message_id'), id DESC;

-- taken --
-- The feedback that a mail has become
SELECT id FROM pocketlet.feedback WHERE agent_id = %(agent)s AND about->>'mail' = %(mail)s ORDER BY id LIMIT 1;
