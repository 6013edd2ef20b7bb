-- ready --
-- Whether the bound views follow the revision that counts
SELECT b.revision = a.current AS ready FROM pocketlet.agent a JOIN pocketlet.bound b ON b.agent_id = a.id WHERE a.id = %(agent)s;

-- made --
-- What they were made of
SELECT digest, known, words FROM pocketlet.bound WHERE agent_id = %(agent)s;

-- word --
-- The owner's last word for what agent.toml and schema/ of a revision say, whichever revision it was said on
SELECT coalesce(max(d.id), 0) AS word
  FROM pocketlet.revision c
  JOIN pocketlet.revision r ON r.agent_id = c.agent_id AND r.manifest = c.manifest AND r.schema_files = c.schema_files
  JOIN pocketlet.decision d ON d.agent_id = r.agent_id AND d.revision = r.n
 WHERE c.agent_id = %(agent)s AND c.n = %(revision)s AND d.author = 'owner' AND d.verdict IN ('import', 'adopt');

-- bound --
-- They are made
INSERT INTO pocketlet.bound (agent_id, revision, digest, known, words)
VALUES (%(agent)s, %(revision)s, %(digest)s, %(known)s, %(words)s)
ON CONFLICT (agent_id) DO UPDATE SET revision = excluded.revision, digest = excluded.digest, known = excluded.known,
       words = excluded.words;
