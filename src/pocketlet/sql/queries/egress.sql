-- since --
-- Since when all that agents do outside is cut off
SELECT value FROM pocketlet.setting WHERE name = 'egress_cut';

-- cut --
-- Unless it is already
INSERT INTO pocketlet.setting (name, value) VALUES ('egress_cut', %(at)s) ON CONFLICT (name) DO NOTHING;

-- restore --
-- And no longer
DELETE FROM pocketlet.setting WHERE name = 'egress_cut';
