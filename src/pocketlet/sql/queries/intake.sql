-- slot --
-- The same event a second time finds its slot taken
INSERT INTO pocketlet.slot (agent_id, trigger, key, reason) VALUES (%(agent)s, %(trigger)s, %(key)s, %(reason)s)
ON CONFLICT (agent_id, trigger, key) DO NOTHING RETURNING id;

-- started --
-- The run that the event started
UPDATE pocketlet.slot SET run_id = %(run)s WHERE id = %(slot)s;
