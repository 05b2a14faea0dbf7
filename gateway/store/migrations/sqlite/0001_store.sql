-- The store as it begins. Times are microseconds since 1970 in UTC; documents are JSON.
-- Numbers (row, position, cursor) are given by the one writer, without gaps.

CREATE TABLE operations (
    row             INTEGER PRIMARY KEY,    -- in order of time: identifiers of different kinds do not sort together
    id              TEXT    NOT NULL,
    client          TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    connection      TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    open            INTEGER NOT NULL CHECK (open IN (0, 1)),
    reference       TEXT    NOT NULL,
    partner_key     TEXT    NOT NULL,
    state_key       TEXT,
    siblings        TEXT    NOT NULL,
    parent          TEXT,
    version         INTEGER NOT NULL,
    next_inquiry_at INTEGER,
    attention       INTEGER NOT NULL CHECK (attention IN (0, 1)),
    in_flight       INTEGER NOT NULL CHECK (in_flight IN (0, 1)),
    reservable      INTEGER,
    reserved        INTEGER NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    lease_holder    TEXT,
    lease_until     INTEGER,
    document        TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX operations_id          ON operations (id);
CREATE UNIQUE INDEX operations_reference   ON operations (client, reference, kind);
-- An act that provably did not happen lets go of its key: where a business field is the key, it may be tried again.
CREATE UNIQUE INDEX operations_partner_key ON operations (connection, kind, partner_key)
    WHERE state NOT IN ('failed', 'cancelled');
CREATE INDEX operations_past_partner_key   ON operations (connection, kind, partner_key)
    WHERE state IN ('failed', 'cancelled');
CREATE UNIQUE INDEX operations_state_key   ON operations (connection, state_key) WHERE state_key IS NOT NULL;
CREATE INDEX operations_client             ON operations (client);
-- These stay small, whatever the table's size: what they hold comes to an end.
CREATE INDEX operations_open      ON operations (client, kind, siblings) WHERE open = 1;
CREATE INDEX operations_due       ON operations (next_inquiry_at)        WHERE next_inquiry_at IS NOT NULL;
CREATE INDEX operations_leased    ON operations (lease_until)            WHERE lease_until IS NOT NULL;
CREATE INDEX operations_attention ON operations (client)                 WHERE attention = 1;
CREATE INDEX operations_in_flight ON operations (id)                     WHERE in_flight = 1;
CREATE INDEX operations_parent    ON operations (parent)                 WHERE parent IS NOT NULL;

-- What operations are for (a loan, an instalment), for searches.
CREATE TABLE links (
    name      TEXT    NOT NULL,
    value     TEXT    NOT NULL,
    client    TEXT    NOT NULL,
    operation INTEGER NOT NULL,             -- operations.row
    PRIMARY KEY (name, value, client, operation)
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    client      TEXT    NOT NULL,
    key         TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (client, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL,
    chain    TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    client   TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    leaf     BLOB    NOT NULL,
    hash     TEXT    NOT NULL,
    digest   TEXT,
    content  TEXT,
    body     BLOB
) STRICT;

CREATE UNIQUE INDEX records_chain ON records (chain, number);

CREATE TABLE events (
    cursor    INTEGER PRIMARY KEY,
    id        TEXT    NOT NULL,
    client    TEXT    NOT NULL,
    operation TEXT    NOT NULL,
    type      TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    document  TEXT    NOT NULL
) STRICT;

CREATE INDEX events_client    ON events (client);
CREATE INDEX events_operation ON events (operation);

CREATE TABLE callbacks (
    id         TEXT    NOT NULL PRIMARY KEY,
    connection TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    message    BLOB    NOT NULL,
    verdict    TEXT,
    UNIQUE (connection, digest)
) STRICT;

CREATE TABLE tokens (
    connection TEXT NOT NULL,
    name       TEXT NOT NULL,
    sealed     BLOB NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (connection, name)
) STRICT, WITHOUT ROWID;
