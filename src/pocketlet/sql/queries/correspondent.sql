-- ready --
-- Whether the bound views follow the revision that counts
SELECT b.revision = a.current AS ready FROM pocketlet.agent a JOIN pocketlet.bound b ON b.agent_id = a.id WHERE a.id = %(agent)s;

-- made --
-- What they were made of
SELECT digest FROM pocketlet.bound WHERE agent_id = %(agent)s;

-- bound --
-- They are made
INSERT INTO pocketlet.bound (agent_id, revision, digest) VALUES (%(agent)s, %(revision)s, %(digest)s)
ON CONFLICT (agent_id) DO UPDATE SET revision = excluded.revision, digest = excluded.digest;
