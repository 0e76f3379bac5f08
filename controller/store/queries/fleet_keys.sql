-- record --
-- Remembers which keys belong to this database, if that is not known yet.
INSERT INTO setting (name, value) VALUES ('controller_keys', %(value)s)
ON CONFLICT (name) DO NOTHING

-- recorded --
-- Which keys belong to this database.
SELECT value FROM setting WHERE name = 'controller_keys'
