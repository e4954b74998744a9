-- Version 1. Times are milliseconds since 1970, severities and states the numbers of package queue.
--
-- What may leave next stands in the row (state 0 is "due head of its chain"), so
-- that a partial index is the answer. To work it out with NOT EXISTS is a scan of
-- everything that is blocked: 120 ms and more at a million rows.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One lane for each integration key. The counts stand here because to count a
-- million events at the start takes longer than a start may take.
CREATE TABLE lane (
    id           INTEGER PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,
    held         INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
    held_who     TEXT NOT NULL DEFAULT '',
    held_why     TEXT NOT NULL DEFAULT '',
    held_at      INTEGER NOT NULL DEFAULT 0,
    learned      INTEGER NOT NULL DEFAULT 0,
    ceiling      INTEGER NOT NULL DEFAULT 0,
    paused_until INTEGER NOT NULL DEFAULT 0,
    pauses       INTEGER NOT NULL DEFAULT 0,
    key_refused  INTEGER NOT NULL DEFAULT 0,
    waiting0     INTEGER NOT NULL DEFAULT 0 CHECK (waiting0 >= 0),
    waiting1     INTEGER NOT NULL DEFAULT 0 CHECK (waiting1 >= 0),
    waiting2     INTEGER NOT NULL DEFAULT 0 CHECK (waiting2 >= 0),
    waiting3     INTEGER NOT NULL DEFAULT 0 CHECK (waiting3 >= 0),
    delivered    INTEGER NOT NULL DEFAULT 0 CHECK (delivered >= 0),
    refused      INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0),
    expired      INTEGER NOT NULL DEFAULT 0 CHECK (expired >= 0)
) STRICT;

-- The columns that change stand before the body, which may have overflow pages.
-- No check may say IN of more than two: SQLite builds a table of them for every row
-- that is written, which was a fifth of the writer's time.
CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    lane     INTEGER NOT NULL,
    state    INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7 AND state <> 3),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3), -- of the chain, in its head
    severity INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 3),
    kind     INTEGER NOT NULL CHECK (kind IN (0, 1)),
    action   TEXT NOT NULL,
    dedup    TEXT NOT NULL,
    next     INTEGER, -- the event behind it in its chain
    accepted INTEGER NOT NULL,
    fresh    INTEGER NOT NULL,
    due      INTEGER NOT NULL DEFAULT 0,
    ended    INTEGER NOT NULL DEFAULT 0 CHECK ((ended > 0) = (state >= 4)),
    attempts INTEGER NOT NULL DEFAULT 0,
    repeats  INTEGER NOT NULL DEFAULT 0,
    status   INTEGER NOT NULL DEFAULT 0,
    reason   TEXT NOT NULL DEFAULT '',
    pool     TEXT NOT NULL DEFAULT '',
    repairs  TEXT NOT NULL DEFAULT '', -- one a line
    checksum INTEGER NOT NULL,
    body     TEXT NOT NULL, -- TEXT, as LIKE finds nothing in a BLOB
    CHECK (state > 2 OR kind = 1 OR dedup <> '')
) STRICT;

CREATE INDEX event_ready ON event (lane, priority, id) WHERE state = 0; -- the next one
CREATE INDEX event_due   ON event (due)                WHERE state = 2; -- wake-ups
CREATE INDEX event_dead  ON event (id)                 WHERE state IN (5, 6);
CREATE INDEX event_done  ON event (ended)              WHERE state IN (4, 7); -- retention, and the window after a start

-- A chain is what has not ended of one dedup key on one lane. The counts by
-- severity give its head the priority of the gravest event behind it.
CREATE TABLE chain (
    lane  INTEGER NOT NULL,
    dedup TEXT NOT NULL,
    head  INTEGER NOT NULL,
    tail  INTEGER NOT NULL,
    n0    INTEGER NOT NULL CHECK (n0 >= 0),
    n1    INTEGER NOT NULL CHECK (n1 >= 0),
    n2    INTEGER NOT NULL CHECK (n2 >= 0),
    n3    INTEGER NOT NULL CHECK (n3 >= 0),
    PRIMARY KEY (lane, dedup),
    CHECK (n0 + n1 + n2 + n3 > 0)
) STRICT, WITHOUT ROWID;

-- Which of a pool's keys an open incident was triggered through: PagerDuty drops
-- an acknowledge or resolve that comes through another.
CREATE TABLE sticky (
    pool  TEXT NOT NULL,
    dedup TEXT NOT NULL,
    lane  INTEGER NOT NULL,
    used  INTEGER NOT NULL,
    PRIMARY KEY (pool, dedup)
) STRICT, WITHOUT ROWID;
CREATE INDEX sticky_used ON sticky (used);

-- What happened to an event beyond what its row says: attempts that failed, and
-- what operators did.
CREATE TABLE log (
    event  INTEGER NOT NULL,
    n      INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    what   TEXT NOT NULL,
    status INTEGER NOT NULL DEFAULT 0,
    text   TEXT NOT NULL DEFAULT '',
    who    TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (event, n)
) STRICT, WITHOUT ROWID;

-- What operators did to lanes.
CREATE TABLE lane_log (
    lane INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    what TEXT NOT NULL,
    who  TEXT NOT NULL,
    why  TEXT NOT NULL
) STRICT;
