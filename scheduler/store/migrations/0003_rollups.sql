-- What a day of a check came to, for reports and for good: see report.Rollup.
-- The id is check_id << 16 | days since the epoch (UTC), so that a check's days
-- lie beside each other.
CREATE TABLE rollups (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;

-- Which configuration judged a closed month: config.Config.Digest.
ALTER TABLE reports ADD COLUMN config_sha256 TEXT NOT NULL DEFAULT '';

-- Who is told of a revision, until they are.
CREATE TABLE deliveries (
  id       INTEGER PRIMARY KEY,
  sla      TEXT NOT NULL,
  month    TEXT NOT NULL,
  revision INTEGER NOT NULL,
  channel  TEXT NOT NULL, -- email, slack
  address  TEXT NOT NULL, -- empty: the channel's own
  attempts INTEGER NOT NULL,
  next_at  INTEGER NOT NULL,
  sent     INTEGER NOT NULL, -- 0: not yet
  detail   TEXT NOT NULL,    -- of the last attempt that failed
  UNIQUE (sla, month, revision, channel, address)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE sent = 0;
