-- write --
-- One more row; its number, time and hashes come from the chain
INSERT INTO pocketlet.audit (actor, action, subject, agent_id, agent, run_id, step_seq, verdict, rule, details)
VALUES (%(actor)s, %(action)s, %(subject)s, %(agent_id)s, %(agent)s, %(run_id)s, %(step_seq)s, %(verdict)s, %(rule)s,
        %(details)s)
RETURNING id;

-- head --
-- Where the chain says that it ends
SELECT id, hash FROM pocketlet.audit_head;

-- chain --
-- Every row in order, as the texts that its hash was made of
SELECT id, previous, hash, ARRAY[
         id::text, trunc(extract(epoch FROM at) * 1000000)::text, actor, action, subject, agent_id::text, agent,
         run_id::text, step_seq::text, verdict, rule, details::text] AS fields
  FROM pocketlet.audit ORDER BY id;

-- listing --
-- Rows for a person, newest first
SELECT id, at, actor, action, subject, agent, run_id, step_seq, verdict, rule, details
  FROM pocketlet.audit
 WHERE (%(agent)s::text IS NULL OR agent = %(agent)s) AND (%(run)s::bigint IS NULL OR run_id = %(run)s)
   AND (%(below)s::bigint IS NULL OR id < %(below)s)
 ORDER BY id DESC LIMIT %(limit)s;
