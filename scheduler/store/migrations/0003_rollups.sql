-- What a day of a check came to, for reports and for good: see report.Rollup.
-- The id is check_id << 16 | days since the epoch (UTC), so that a check's days
-- lie beside each other.
CREATE TABLE rollups (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
) STRICT;
