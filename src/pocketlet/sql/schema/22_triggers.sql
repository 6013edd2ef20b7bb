-- What starts runs by itself. Everything that is due is a row before anything is done about it.
--
--   agent.toml [triggers] ─▶ trigger ─ schedule: the tick moves `watermark` and inserts slots, in one transaction
--                                    ├ event (mail, webhook): the slot is committed before the sender is told so
--                                    └ look (mailbox, feed, poll, change): slots and `cursor` in one transaction
--   slot: due ─▶ claimed (a run is made with it) ─▶ done | failed        due ─▶ skipped | missed
--   a list: due ─▶ claimed (its items are made with it, each a slot) ─▶ done | failed, once all items have their end
CREATE TABLE pocketlet.trigger (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  name text NOT NULL,
  kind text NOT NULL
    CHECK (kind IN ('mail', 'schedule', 'webhook', 'mailbox', 'feed', 'change', 'poll', 'result', 'chat')),
  spec jsonb NOT NULL,
  address text,
  active boolean NOT NULL DEFAULT true,
  paused text,
  watermark timestamptz NOT NULL DEFAULT pocketlet.now(),
  next_at timestamptz,
  cursor jsonb NOT NULL DEFAULT '{}',
  holder bigint REFERENCES pocketlet.worker ON DELETE SET NULL,
  lease_until timestamptz,
  failures int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  UNIQUE (agent_id, name)
);
CREATE INDEX trigger_address ON pocketlet.trigger (kind, address) WHERE active AND address IS NOT NULL;
CREATE INDEX trigger_next ON pocketlet.trigger (next_at) WHERE active AND paused IS NULL;
COMMENT ON TABLE pocketlet.trigger IS 'One entry of [triggers] in agent.toml of the current revision, with how far it has come.';
COMMENT ON COLUMN pocketlet.trigger.address IS 'What an event names it by: a mail address, or the last part of a webhook''s path.';
COMMENT ON COLUMN pocketlet.trigger.active IS 'Whether the current revision has it; one that it has no more keeps its slots.';
COMMENT ON COLUMN pocketlet.trigger.paused IS 'Why the owner paused it. Nothing else pauses a trigger.';
COMMENT ON COLUMN pocketlet.trigger.watermark IS 'Schedules: everything due until then is a slot.';
COMMENT ON COLUMN pocketlet.trigger.next_at IS 'When it is due, or is to be looked at, next.';
COMMENT ON COLUMN pocketlet.trigger.cursor IS 'How far a mailbox, feed or service was read; moved with the slots that were read.';
COMMENT ON COLUMN pocketlet.trigger.failures IS 'Looks in a row that failed; the pause between two looks grows with it.';

CREATE TABLE pocketlet.slot (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent_id bigint NOT NULL REFERENCES pocketlet.agent ON DELETE CASCADE,
  trigger_id bigint NOT NULL REFERENCES pocketlet.trigger ON DELETE CASCADE,
  key text NOT NULL,
  state text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'claimed', 'done', 'failed', 'skipped', 'missed')),
  reason text NOT NULL DEFAULT '',
  stands_for int NOT NULL DEFAULT 1,
  due_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  recorded_at timestamptz NOT NULL DEFAULT pocketlet.now(),
  body bytea,
  about jsonb NOT NULL DEFAULT '{}',
  run_id bigint REFERENCES pocketlet.run ON DELETE SET NULL,
  replays bigint REFERENCES pocketlet.slot ON DELETE CASCADE,
  items int CHECK (items > 0),
  parent bigint REFERENCES pocketlet.slot ON DELETE CASCADE,
  position int CHECK (position > 0),
  held boolean NOT NULL DEFAULT false,
  attempts int NOT NULL DEFAULT 0,
  not_before timestamptz,
  lease_until timestamptz,
  started_at timestamptz,
  ended_at timestamptz,
  UNIQUE NULLS NOT DISTINCT (trigger_id, key, parent),
  CHECK (parent IS NULL OR (position IS NOT NULL AND items IS NULL))
);
CREATE INDEX slot_due ON pocketlet.slot (due_at, id) WHERE state = 'due' AND NOT held;
CREATE INDEX slot_claimed ON pocketlet.slot (run_id) WHERE state = 'claimed';
CREATE INDEX slot_run ON pocketlet.slot (run_id);
CREATE INDEX slot_agent ON pocketlet.slot (agent_id, due_at);
CREATE INDEX slot_list ON pocketlet.slot (id) WHERE state = 'claimed' AND items IS NOT NULL;
CREATE INDEX slot_item ON pocketlet.slot (parent, position) WHERE parent IS NOT NULL;
COMMENT ON TABLE pocketlet.slot IS 'One occurrence of one trigger; the unique key is why each starts one run.';
COMMENT ON COLUMN pocketlet.slot.key IS 'The event''s own id, or a schedule''s nominal local time and fold.';
COMMENT ON COLUMN pocketlet.slot.state IS
  'due: recorded; claimed: it has a run; done: the run did it and the trigger''s checks hold; failed: it did not; skipped: on purpose; missed: nobody started it in time.';
COMMENT ON COLUMN pocketlet.slot.reason IS 'Why it was skipped, missed, or did not succeed.';
COMMENT ON COLUMN pocketlet.slot.stands_for IS 'Occurrences that this row stands for: more than 1,000 skipped ones are one row.';
COMMENT ON COLUMN pocketlet.slot.body IS 'What came, byte for byte.';
COMMENT ON COLUMN pocketlet.slot.about IS 'What is known of the event besides its body: header fields, who sent it.';
COMMENT ON COLUMN pocketlet.slot.replays IS 'The slot that the owner had done again.';
COMMENT ON COLUMN pocketlet.slot.items IS 'Of a list that was begun: how many items it has. It has no run of its own.';
COMMENT ON COLUMN pocketlet.slot.parent IS 'Of an item: the slot of its list. One that is done again by itself has a position and no parent.';
COMMENT ON COLUMN pocketlet.slot.held IS 'Of an item: its turn has not come.';

GRANT SELECT, INSERT, UPDATE, DELETE ON pocketlet.trigger TO pd_api;
GRANT SELECT, INSERT, UPDATE ON pocketlet.slot TO pd_api;
