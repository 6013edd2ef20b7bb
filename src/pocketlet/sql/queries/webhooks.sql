-- seen --
-- The slot of a delivery that came before
SELECT id FROM pocketlet.slot WHERE trigger_id = %(trigger)s AND key = %(key)s;

-- hold_trigger --
-- Before its slot is inserted: of two that had inserted theirs, neither could lock it any more
SELECT FROM pocketlet.trigger WHERE id = %(trigger)s FOR NO KEY UPDATE;
