-- Notifications. The outbox is the table of events; an endpoint's cursor says how far its deliveries were made.

CREATE TABLE webhook_endpoints (
    id         text    COLLATE "C" PRIMARY KEY,
    client     text    COLLATE "C" NOT NULL,
    url        text    COLLATE "C" NOT NULL,
    kinds      text    NOT NULL,            -- JSON list of patterns
    secrets    bytea   NOT NULL,            -- sealed
    active     boolean NOT NULL,
    created_at timestamptz NOT NULL,
    version    bigint  NOT NULL,
    cursor     bigint  NOT NULL,            -- events.cursor
    CONSTRAINT webhook_endpoints_url UNIQUE (client, url)
);

CREATE TABLE webhook_deliveries (
    endpoint    text   COLLATE "C" NOT NULL,
    cursor      bigint NOT NULL,            -- events.cursor
    event       text   COLLATE "C" NOT NULL,
    operation   text   COLLATE "C" NOT NULL,
    type        text   NOT NULL,
    state       text   COLLATE "C" NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts    integer NOT NULL,
    due_at      timestamptz,                -- of the earliest that is pending for an operation; the others wait for it
    lease_until timestamptz,
    version     bigint NOT NULL,
    at          timestamptz NOT NULL,
    status      integer,
    detail      text,
    PRIMARY KEY (endpoint, cursor)
);

CREATE INDEX webhook_deliveries_event ON webhook_deliveries (endpoint, event);
-- These stay small: deliveries come to an end.
CREATE INDEX webhook_deliveries_due     ON webhook_deliveries (endpoint, due_at)            WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint, operation, cursor) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_dead    ON webhook_deliveries (endpoint, cursor)            WHERE state = 'dead';
