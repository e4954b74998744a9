-- Version 6. Times are milliseconds since 1970, severities and states the numbers of package queue.
--
-- What may leave next stands in the row (state 0 is "due head of its chain"), so
-- that a partial index is the answer. To work it out with NOT EXISTS is a scan of
-- everything that is blocked: 120 ms and more at a million rows.
--
-- SQLite has no checksums of its own. A row's seal covers every column that
-- changes, and the content checksum every one that does not (row.go, chain.go,
-- lanes.go); both are checked wherever a row is read.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Attempts of the last minute or two of which PagerDuty may count more requests than
-- stand for deliveries: a lost answer, a 5xx, a rejection, or both copies of one event.
CREATE TABLE counted (
    id       INTEGER PRIMARY KEY,
    lane     INTEGER NOT NULL,
    at       INTEGER NOT NULL, -- when it ended
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3), -- of its chain
    requests INTEGER NOT NULL CHECK (requests IN (1, 2)) -- of it, deliveries not among them
) STRICT;

-- Upstreams that have accepted nothing since their last failure.
CREATE TABLE failing (
    upstream TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- One lane for each integration key, whatever the case of its letters. The counts
-- are kept because to count a million events at the start takes longer than a
-- start may take. The index of the key is a second copy of what leads to all
-- events of a lane.
CREATE TABLE lane (
    id           INTEGER PRIMARY KEY,
    key          TEXT NOT NULL COLLATE NOCASE,
    twin         INTEGER NOT NULL DEFAULT 0, -- its id, if version 1 had made a second lane of the key in another case: it drains and is forgotten
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
    expired      INTEGER NOT NULL DEFAULT 0 CHECK (expired >= 0),
    used         INTEGER NOT NULL DEFAULT 0, -- when its last event came
    proven       INTEGER NOT NULL DEFAULT 0 CHECK (proven IN (0, 1)), -- PagerDuty has accepted an event
    upstream     TEXT NOT NULL DEFAULT '', -- that what is queued was accepted for; '' is unknown
    own          INTEGER NOT NULL DEFAULT 0 CHECK (own IN (0, 1)), -- which was named for this key alone
    since        INTEGER NOT NULL DEFAULT 0, -- the last event that was accepted for an earlier one
    alias        TEXT NOT NULL DEFAULT '', -- of the key in the configuration, if it stands in a file
    seal         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX lane_key ON lane (key, twin);

-- The columns that change come before the body, which may have overflow pages, and
-- so do those that a list shows. No check may say IN of more than two: SQLite
-- builds a table of them for every row that is written, which was a fifth of the
-- writer's time.
CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    lane     INTEGER NOT NULL,
    state    INTEGER NOT NULL CHECK (state BETWEEN 0 AND 7 AND state <> 3),
    priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 3), -- of the chain, in its head
    severity INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 3),
    prev     INTEGER NOT NULL DEFAULT 0, -- the event before it in its chain; 0 for the head
    next     INTEGER NOT NULL DEFAULT 0, -- the event behind it in its chain; 0 for the tail
    fresh    INTEGER NOT NULL,
    due      INTEGER NOT NULL DEFAULT 0,
    ended    INTEGER NOT NULL DEFAULT 0 CHECK ((ended > 0) = (state >= 4)),
    attempts INTEGER NOT NULL DEFAULT 0,
    repeats  INTEGER NOT NULL DEFAULT 0,
    status   INTEGER NOT NULL DEFAULT 0,
    reason   TEXT NOT NULL DEFAULT '',
    seal     INTEGER NOT NULL,
    kind     INTEGER NOT NULL CHECK (kind IN (0, 1)),
    action   TEXT NOT NULL,
    dedup    TEXT NOT NULL,
    accepted INTEGER NOT NULL,
    pool     TEXT NOT NULL DEFAULT '',
    key      TEXT NOT NULL DEFAULT '', -- as this event spells it, where the lane has it in another case
    repairs  TEXT NOT NULL DEFAULT '', -- a JSON array of texts; '' for none
    summary  TEXT NOT NULL DEFAULT '',
    source   TEXT NOT NULL DEFAULT '',
    size     INTEGER NOT NULL, -- bytes of the body
    content  INTEGER NOT NULL,
    body     TEXT NOT NULL, -- TEXT, as LIKE finds nothing in a BLOB
    CHECK (state > 2 OR kind = 1 OR dedup <> '')
) STRICT;

CREATE INDEX event_ready ON event (lane, priority, id) WHERE state = 0; -- the next one
CREATE INDEX event_due   ON event (due)                WHERE state = 2; -- wake-ups
CREATE INDEX event_dead  ON event (id)                 WHERE state IN (5, 6);
CREATE INDEX event_least ON event (severity DESC, id, size) WHERE state IN (5, 6); -- the dead letters that go first, and their bytes
CREATE INDEX event_done  ON event (ended)              WHERE state IN (4, 7); -- retention, and the window after a start

CREATE INDEX event_said  ON event (dedup, action)      WHERE state = 4 AND kind = 0; -- what a sender has said later of an event that is to be sent again

-- A chain is what has not ended of one dedup key on one lane. The counts by
-- severity give its head the priority of the most severe event behind it.
CREATE TABLE chain (
    lane  INTEGER NOT NULL,
    dedup TEXT NOT NULL,
    head  INTEGER NOT NULL,
    tail  INTEGER NOT NULL,
    n0    INTEGER NOT NULL CHECK (n0 >= 0),
    n1    INTEGER NOT NULL CHECK (n1 >= 0),
    n2    INTEGER NOT NULL CHECK (n2 >= 0),
    n3    INTEGER NOT NULL CHECK (n3 >= 0),
    seal  INTEGER NOT NULL,
    PRIMARY KEY (lane, dedup),
    CHECK (n0 + n1 + n2 + n3 > 0)
) STRICT, WITHOUT ROWID;

-- Through which key an incident was triggered: PagerDuty drops an acknowledge or
-- resolve that comes through another. Origin is the lane of the key that the sender
-- named, lane the one through which its trigger leaves, or has left. Used is when its
-- last trigger left; 0 while nothing of it was accepted, or may have been: its chain may
-- still move. A trigger that leaves by its own key gets its row when that is so.
CREATE TABLE incident (
    origin INTEGER NOT NULL,
    dedup  TEXT NOT NULL,
    lane   INTEGER NOT NULL,
    used   INTEGER NOT NULL,
    seal   INTEGER NOT NULL, -- of all but used
    PRIMARY KEY (origin, dedup)
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_lane ON incident (lane, dedup);
CREATE INDEX incident_used ON incident (used);
CREATE INDEX incident_from ON incident (origin) WHERE lane <> origin; -- lanes that others lead to, or lead to others, are not forgotten
CREATE INDEX incident_to   ON incident (lane)   WHERE lane <> origin;

-- The lanes of the keys that senders named, of events that are in another lane.
CREATE TABLE origin (
    event INTEGER PRIMARY KEY,
    lane  INTEGER NOT NULL
) STRICT;

-- What an event tells of pairs of trigger and resolve that were not sent: how many there
-- were, whether the pair that it begins itself is among them, and their times, of many the
-- first and the last ones.
CREATE TABLE fold (
    event INTEGER PRIMARY KEY,
    pairs INTEGER NOT NULL,
    own   INTEGER NOT NULL CHECK (own IN (0, 1)),
    spans TEXT NOT NULL, -- [[opened, resolved], …]
    seal  INTEGER NOT NULL
) STRICT;

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
CREATE INDEX lane_log_lane ON lane_log (lane);
