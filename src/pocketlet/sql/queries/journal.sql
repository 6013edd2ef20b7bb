-- read --
-- The journal of a run
SELECT seq, kind, tool, request, response, error, label, meta FROM pocketlet.step WHERE run_id = %(run)s ORDER BY seq;

-- write --
-- The next step, under the fence
SELECT pocketlet.add_step(%(run)s, %(fence)s, %(step)s);
