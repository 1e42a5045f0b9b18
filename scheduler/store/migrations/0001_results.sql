-- Names of checks, regions and probers; blocks hold their numbers.
CREATE TABLE names (
  id   INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- Results as they came, a batch a row, until they are compacted into blocks.
CREATE TABLE live (
  id        INTEGER PRIMARY KEY,
  from_at   INTEGER NOT NULL, -- first and last At, in milliseconds
  to_at     INTEGER NOT NULL,
  from_slot INTEGER NOT NULL,
  to_slot   INTEGER NOT NULL,
  n         INTEGER NOT NULL,
  rows      BLOB NOT NULL
) STRICT;

-- Results for good: those of a check and region whose At is in an hour, or in
-- the window of six that begins with it. See compact.go.
CREATE TABLE blocks (
  id        INTEGER PRIMARY KEY,
  check_id  INTEGER NOT NULL REFERENCES names,
  hour      INTEGER NOT NULL, -- hours since the epoch
  region_id INTEGER NOT NULL REFERENCES names,
  from_slot INTEGER NOT NULL,
  to_slot   INTEGER NOT NULL,
  n         INTEGER NOT NULL,
  rows      BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX blocks_series ON blocks (check_id, hour, region_id);
CREATE INDEX blocks_hour ON blocks (hour);

-- Which numbers of a prober's spool have been taken, in ranges that do not touch.
CREATE TABLE received (
  prober   TEXT NOT NULL,
  spool    TEXT NOT NULL,
  from_seq INTEGER NOT NULL,
  to_seq   INTEGER NOT NULL, -- the last that was taken
  PRIMARY KEY (prober, spool, from_seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantines (
  prober  TEXT NOT NULL,
  from_at INTEGER NOT NULL,
  to_at   INTEGER NOT NULL,
  why     TEXT NOT NULL,
  PRIMARY KEY (prober, from_at, to_at)
) STRICT, WITHOUT ROWID;

-- What a day of a check came to, for good: see Store.Days.
CREATE TABLE days (
  check_id INTEGER NOT NULL REFERENCES names,
  day      INTEGER NOT NULL, -- days since the epoch, UTC
  summary  BLOB NOT NULL,
  PRIMARY KEY (check_id, day)
) STRICT, WITHOUT ROWID;

-- Days that results came for after their summary was made: reports of closed
-- months that they are in are to be made again.
CREATE TABLE touched (
  check_name TEXT NOT NULL,
  day        INTEGER NOT NULL,
  PRIMARY KEY (check_name, day)
) STRICT, WITHOUT ROWID;

-- SLA reports of closed months, in every format, for good.
CREATE TABLE reports (
  sla            TEXT NOT NULL,
  month          TEXT NOT NULL, -- 2026-10
  revision       INTEGER NOT NULL,
  format         TEXT NOT NULL, -- json, csv, html
  made           INTEGER NOT NULL,
  results_sha256 TEXT NOT NULL,
  body           BLOB NOT NULL,
  PRIMARY KEY (sla, month, revision, format)
) STRICT;

-- Single values: keys made at random, marks of jobs.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
