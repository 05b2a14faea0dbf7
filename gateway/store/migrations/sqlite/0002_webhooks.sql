-- Notifications. The outbox is the table of events; an endpoint's cursor says how far its deliveries were made.

CREATE TABLE webhook_endpoints (
    id         TEXT    NOT NULL PRIMARY KEY,
    client     TEXT    NOT NULL,
    url        TEXT    NOT NULL,
    kinds      TEXT    NOT NULL,            -- JSON list of patterns
    secrets    BLOB    NOT NULL,            -- sealed
    active     INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    cursor     INTEGER NOT NULL,            -- events.cursor
    UNIQUE (client, url)
) STRICT;

CREATE TABLE webhook_deliveries (
    endpoint    TEXT    NOT NULL,
    cursor      INTEGER NOT NULL,           -- events.cursor
    event       TEXT    NOT NULL,
    operation   TEXT    NOT NULL,
    type        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts    INTEGER NOT NULL,
    due_at      INTEGER,                    -- of the earliest that is pending for an operation; the others wait for it
    lease_until INTEGER,
    version     INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    status      INTEGER,
    detail      TEXT,
    PRIMARY KEY (endpoint, cursor)
) STRICT, WITHOUT ROWID;

CREATE INDEX webhook_deliveries_event ON webhook_deliveries (endpoint, event);
-- These stay small: deliveries come to an end.
CREATE INDEX webhook_deliveries_due     ON webhook_deliveries (endpoint, due_at)            WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_leased  ON webhook_deliveries (lease_until)                 WHERE lease_until IS NOT NULL;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint, operation, cursor) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_dead    ON webhook_deliveries (endpoint, cursor)            WHERE state = 'dead';
