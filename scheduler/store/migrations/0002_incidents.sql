CREATE TABLE incidents (
  id           INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: it stands in messages
  check_name   TEXT NOT NULL,
  outage_from  INTEGER NOT NULL,
  opened       INTEGER NOT NULL,
  severity     TEXT NOT NULL,
  policy       TEXT NOT NULL,
  reason       TEXT NOT NULL,
  down         TEXT NOT NULL, -- JSON list of regions
  regions      INTEGER NOT NULL,
  flaps        INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('triggered', 'acknowledged', 'resolved')),
  acked_at     INTEGER NOT NULL, -- times in milliseconds; 0: not yet
  acked_by     TEXT NOT NULL,
  acked_via    TEXT NOT NULL,
  owner        TEXT NOT NULL,
  resolved_at  INTEGER NOT NULL,
  resolved_by  TEXT NOT NULL,
  resolved_via TEXT NOT NULL,
  recovered    INTEGER NOT NULL,
  snoozed      INTEGER NOT NULL,
  muted        TEXT NOT NULL,
  within       INTEGER NOT NULL, -- another incident, or 0
  step         INTEGER NOT NULL,
  round        INTEGER NOT NULL,
  next_at      INTEGER NOT NULL,
  told         TEXT NOT NULL, -- JSON list
  thread       TEXT NOT NULL -- JSON, or empty
) STRICT;
CREATE INDEX incidents_open ON incidents (state) WHERE state <> 'resolved';
CREATE INDEX incidents_unsettled ON incidents (check_name) WHERE recovered = 0;
CREATE INDEX incidents_check ON incidents (check_name, opened);
CREATE INDEX incidents_within ON incidents (within) WHERE within <> 0;

CREATE TABLE events (
  id       INTEGER PRIMARY KEY,
  incident INTEGER NOT NULL REFERENCES incidents,
  at       INTEGER NOT NULL,
  kind     TEXT NOT NULL,
  who      TEXT NOT NULL,
  via      TEXT NOT NULL,
  text     TEXT NOT NULL
) STRICT;
CREATE INDEX events_incident ON events (incident);

CREATE TABLE notices (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  incident     INTEGER NOT NULL, -- 0: a test
  kind         TEXT NOT NULL,
  step         INTEGER NOT NULL,
  round        INTEGER NOT NULL,
  person       TEXT NOT NULL,
  channel      TEXT NOT NULL,
  then_by      TEXT NOT NULL, -- JSON list of channels
  mention      TEXT NOT NULL, -- JSON list of people
  why          TEXT NOT NULL,
  nonce        TEXT NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'accepted', 'delivered', 'failed', 'cancelled')),
  attempts     INTEGER NOT NULL,
  not_before   INTEGER NOT NULL,
  deliver_by   INTEGER NOT NULL, -- 0: never
  receipt      TEXT NOT NULL,
  detail       TEXT NOT NULL,
  created      INTEGER NOT NULL,
  fence        INTEGER NOT NULL, -- grows with every lease
  leased_until INTEGER NOT NULL,
  leased_from  TEXT NOT NULL, -- the state that the lease took it from
  unclear      INTEGER NOT NULL, -- 1: an attempt may have reached the vendor
  settled      INTEGER NOT NULL -- when it was last settled; 0: not yet
) STRICT;
CREATE INDEX notices_due ON notices (state) WHERE state IN ('queued', 'leased', 'accepted');
CREATE INDEX notices_incident ON notices (incident);
CREATE INDEX notices_receipt ON notices (receipt) WHERE receipt <> '';

CREATE TABLE silences (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  check_name TEXT NOT NULL,
  from_at INTEGER NOT NULL,
  to_at   INTEGER NOT NULL,
  why     TEXT NOT NULL,
  who     TEXT NOT NULL,
  created INTEGER NOT NULL
) STRICT;
CREATE INDEX silences_to ON silences (to_at);

-- Delivery reports that came before their message was settled as accepted.
CREATE TABLE early (
  receipt TEXT PRIMARY KEY,
  state   TEXT NOT NULL,
  detail  TEXT NOT NULL,
  at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Signed requests that have been acted on: whoever has seen one can send it again.
CREATE TABLE heard (
  id TEXT PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
