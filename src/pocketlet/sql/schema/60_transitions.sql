-- State transitions that must hold whatever process asks for them. SQLSTATEs: PK001 the run was lost to another
-- worker, PK002 over budget, PK003 not in a state from which this is possible.

CREATE FUNCTION pocketlet.enqueue(run bigint) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM queue.procrastinate_defer_jobs_v1(ARRAY[
    ROW('runs', 'advance', 0, 'run:' || run, 'run:' || run, jsonb_build_object('run', run), NULL)
      ::queue.procrastinate_job_to_defer_v1]);
EXCEPTION WHEN unique_violation THEN
  NULL;  -- a job for this run is waiting already
END $$;
COMMENT ON FUNCTION pocketlet.enqueue(bigint) IS 'Puts a run into the queue, in the transaction of the caller.';

CREATE FUNCTION pocketlet.claim_run(run bigint, worker bigint) RETURNS int LANGUAGE sql
  SET search_path = pg_catalog, pg_temp AS $$
  UPDATE pocketlet.run r
     SET state = 'running', fence = r.fence + 1, worker_id = worker, since = pocketlet.now(),
         deadline_at = CASE r.state WHEN 'waiting' THEN r.deadline_at + (pocketlet.now() - r.since) ELSE r.deadline_at END,
         started_at = coalesce(r.started_at, pocketlet.now()), error = NULL, hint = NULL, exit_code = NULL
   WHERE r.id = run AND r.state IN ('queued', 'running', 'waiting')
  RETURNING r.fence
$$;
COMMENT ON FUNCTION pocketlet.claim_run(bigint, bigint) IS 'The new fence, or NULL if the run is at rest. Time in which it waited for a person moves its deadline.';

CREATE FUNCTION pocketlet.hold(run bigint, holder int) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM pocketlet.run r WHERE r.id = run AND r.fence = holder AND r.state = 'running' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION SQLSTATE 'PK001' USING MESSAGE = 'This run belongs to another worker now.';
  END IF;
END $$;
COMMENT ON FUNCTION pocketlet.hold(bigint, int) IS 'Locks the run for this transaction if the fence is still the caller''s.';

CREATE FUNCTION pocketlet.add_step(run bigint, holder int, step jsonb) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pocketlet.hold(run, holder);
  INSERT INTO pocketlet.step (run_id, seq, kind, tool, request, response, error, label, meta, fence)
  VALUES (run, (step->>'seq')::int, step->>'kind', step->>'tool', step->'request', nullif(step->'response', 'null'),
          step->>'error', step->>'label', coalesce(step->'meta', '{}'), holder);
  UPDATE pocketlet.run r SET label = step->>'label', recoveries = 0
   WHERE r.id = run AND (r.label <> step->>'label' OR r.recoveries > 0);
END $$;

CREATE FUNCTION pocketlet.rest(run bigint, holder int, new_state text, ending jsonb) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pocketlet.hold(run, holder);
  UPDATE pocketlet.run r
     SET state = new_state, outcome = ending->>'outcome', result = ending->>'result', error = ending->>'error',
         hint = ending->>'hint', exit_code = (ending->>'exit_code')::int, worker_id = NULL, since = pocketlet.now(),
         ended_at = CASE WHEN new_state = 'waiting' THEN NULL ELSE pocketlet.now() END
   WHERE r.id = run;
END $$;
COMMENT ON FUNCTION pocketlet.rest(bigint, int, text, jsonb) IS 'Ends or parks a run: waiting, done, failed, stopped.';

CREATE FUNCTION pocketlet.put_off(run bigint, holder int, until timestamptz, why text) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pocketlet.hold(run, holder);
  UPDATE pocketlet.run r SET state = 'queued', worker_id = NULL, error = why, recoveries = 0 WHERE r.id = run;
  BEGIN
    PERFORM queue.procrastinate_defer_jobs_v1(ARRAY[
      ROW('runs', 'advance', 0, 'run:' || run, 'run:' || run, jsonb_build_object('run', run), until)
        ::queue.procrastinate_job_to_defer_v1]);
  EXCEPTION WHEN unique_violation THEN
    NULL;  -- a job for this run is waiting already
  END;
END $$;
COMMENT ON FUNCTION pocketlet.put_off(bigint, int, timestamptz, text) IS 'Queues a run that a worker holds for later; `why` is for people.';

CREATE FUNCTION pocketlet.reserve(entry jsonb, caps jsonb) RETURNS bigint LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  names text[] := ARRAY(SELECT jsonb_object_keys(caps) ORDER BY 1);
  worst numeric := (entry->>'reserved')::numeric;
  granted int;
  entry_id bigint;
BEGIN
  INSERT INTO pocketlet.budget (scope, cap) SELECT key, value::numeric FROM jsonb_each_text(caps) ORDER BY key
  ON CONFLICT (scope) DO NOTHING;
  PERFORM FROM pocketlet.budget b WHERE b.scope = ANY (names) ORDER BY b.scope FOR UPDATE;
  UPDATE pocketlet.budget b SET cap = (caps->>b.scope)::numeric WHERE b.scope = ANY (names) AND b.cap <> (caps->>b.scope)::numeric;
  UPDATE pocketlet.budget b SET reserved = b.reserved + worst
   WHERE b.scope = ANY (names) AND b.cap > 0 AND b.spent + b.reserved + worst <= b.cap;
  GET DIAGNOSTICS granted = ROW_COUNT;
  IF granted < cardinality(names) THEN
    RAISE EXCEPTION SQLSTATE 'PK002' USING MESSAGE = 'The budget does not allow another model call.',
      DETAIL = (SELECT string_agg(
                  CASE split_part(b.scope, ':', 1) WHEN 'run' THEN 'This run' WHEN 'learning' THEN 'Learning from this'
                                                           ELSE 'The agent''s day' END || ' has '
                  || trim_scale(b.cap - b.spent - b.reserved) || ' of ' || trim_scale(b.cap) || ' USD left.', ' ' ORDER BY b.scope DESC)
                  FROM pocketlet.budget b WHERE b.scope = ANY (names) AND (b.cap = 0 OR b.spent + b.reserved + worst > b.cap));
  END IF;
  INSERT INTO pocketlet.ledger (agent_id, agent, run_id, step_seq, kind, model, scopes, reserved, price, price_version)
  VALUES ((entry->>'agent_id')::bigint, entry->>'agent', (entry->>'run_id')::bigint, (entry->>'step_seq')::int,
          entry->>'kind', entry->>'model', names, worst, entry->'price', entry->>'price_version')
  RETURNING id INTO entry_id;
  RETURN entry_id;
END $$;
COMMENT ON FUNCTION pocketlet.reserve(jsonb, jsonb) IS
  'Takes the worst case of a model call from every scope or from none (the rows are locked in one order); the ledger id.';

CREATE FUNCTION pocketlet.settle(entry bigint, new_state text, used jsonb) RETURNS void LANGUAGE plpgsql
  SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  l pocketlet.ledger;
  amount numeric := coalesce((used->>'cost')::numeric, 0);
BEGIN
  SELECT * INTO l FROM pocketlet.ledger WHERE id = entry AND state = 'reserved' FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION SQLSTATE 'PK003' USING MESSAGE = 'This ledger entry is settled already.';
  END IF;
  PERFORM FROM pocketlet.budget b WHERE b.scope = ANY (l.scopes) ORDER BY b.scope FOR UPDATE;
  UPDATE pocketlet.budget b SET reserved = b.reserved - l.reserved, spent = b.spent + amount WHERE b.scope = ANY (l.scopes);
  UPDATE pocketlet.ledger
     SET state = new_state, cost = amount, input_tokens = coalesce((used->>'input')::int, 0),
         output_tokens = coalesce((used->>'output')::int, 0), cached_tokens = coalesce((used->>'cached')::int, 0),
         error = used->>'error', settled_at = pocketlet.now()
   WHERE id = entry;
END $$;

CREATE FUNCTION pocketlet.move_effect(act bigint, holder int, states text[], new_state text, said text)
  RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  e pocketlet.effect;
BEGIN
  SELECT * INTO e FROM pocketlet.effect WHERE id = act FOR UPDATE;
  PERFORM pocketlet.hold(e.run_id, holder);
  IF e.state <> ALL (states) THEN
    RAISE EXCEPTION SQLSTATE 'PK003' USING MESSAGE = 'Effect ' || act || ' is ' || e.state || '.';
  END IF;
  UPDATE pocketlet.effect
     SET state = new_state, response = coalesce(said, response), fence = holder, changed_at = pocketlet.now(),
         attempt = attempt + (new_state = 'dispatching')::int,
         dispatched_at = CASE WHEN new_state = 'dispatching' THEN coalesce(dispatched_at, pocketlet.now()) ELSE dispatched_at END
   WHERE id = act;
END $$;
COMMENT ON FUNCTION pocketlet.move_effect(bigint, int, text[], text, text) IS
  'Moves an effect on, if the worker still holds the run and the effect is in one of `states`.';

GRANT EXECUTE ON FUNCTION pocketlet.now() TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.enqueue(bigint) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.claim_run(bigint, bigint) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.hold(bigint, int) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.add_step(bigint, int, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.rest(bigint, int, text, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.put_off(bigint, int, timestamptz, text) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.reserve(jsonb, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.settle(bigint, text, jsonb) TO pd_api;
GRANT EXECUTE ON FUNCTION pocketlet.move_effect(bigint, int, text[], text, text) TO pd_api;
