-- set_setting --
-- A fact about this installation, unless it is there already
INSERT INTO pocketlet.setting (name, value) VALUES (%(name)s, %(value)s) ON CONFLICT (name) DO NOTHING;

-- setting --
-- A fact about this installation
SELECT value FROM pocketlet.setting WHERE name = %(name)s;
