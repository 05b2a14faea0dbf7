-- The store as it begins. Documents are JSON.
-- Names are compared byte by byte (COLLATE "C"): a unique key that guards money must not hang on the operating system's
-- idea of an alphabet, which changes with its updates and leaves indexes behind that find nothing.

-- The last numbers given. Who writes holds this row until its transaction ends; so numbers have no gaps, and whoever
-- sees one sees all before it.
CREATE TABLE heads (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    opened   bigint  NOT NULL,              -- operations.opened
    position bigint  NOT NULL,              -- records.position
    cursor   bigint  NOT NULL,              -- events.cursor
    writer   bigint  NOT NULL,              -- the process that wrote last
    before   bigint  NOT NULL               -- and the one before it
) WITH (fillfactor = 10);

INSERT INTO heads VALUES (true, 0, 0, 0, 0, 0);

CREATE TABLE operations (
    opened          bigint  PRIMARY KEY,    -- in order of time: identifiers of different kinds do not sort together
    id              text    COLLATE "C" NOT NULL,
    client          text    COLLATE "C" NOT NULL,
    kind            text    COLLATE "C" NOT NULL,
    connection      text    COLLATE "C" NOT NULL,
    state           text    COLLATE "C" NOT NULL,
    open            boolean NOT NULL,
    reference       text    COLLATE "C" NOT NULL,
    partner_key     text    COLLATE "C" NOT NULL,
    state_key       text    COLLATE "C",
    siblings        text    COLLATE "C" NOT NULL,
    parent          text    COLLATE "C",
    version         bigint  NOT NULL,
    next_inquiry_at timestamptz,
    attention       boolean NOT NULL,
    in_flight       bigint,                 -- the process that is in the middle of a call
    reservable      bigint,
    reserved        bigint  NOT NULL DEFAULT 0 CONSTRAINT operations_reserved CHECK (reserved >= 0),
    lease_holder    text    COLLATE "C",
    lease_until     timestamptz,
    document        text    NOT NULL
);

CREATE UNIQUE INDEX operations_id          ON operations (id);
CREATE UNIQUE INDEX operations_reference   ON operations (client, reference, kind);
-- An act that provably did not happen lets go of its key: where a business field is the key, it may be tried again.
CREATE UNIQUE INDEX operations_partner_key ON operations (connection, kind, partner_key)
    WHERE state NOT IN ('failed', 'cancelled');
CREATE INDEX operations_past_partner_key   ON operations (connection, kind, partner_key)
    WHERE state IN ('failed', 'cancelled');
CREATE UNIQUE INDEX operations_state_key   ON operations (connection, state_key) WHERE state_key IS NOT NULL;
CREATE INDEX operations_client             ON operations (client, opened);
-- These stay small, whatever the table's size: what they hold comes to an end.
CREATE INDEX operations_open      ON operations (client, kind, siblings) WHERE open;
CREATE INDEX operations_due       ON operations (next_inquiry_at)        WHERE next_inquiry_at IS NOT NULL;
CREATE INDEX operations_leased    ON operations (lease_until)            WHERE lease_until IS NOT NULL;
CREATE INDEX operations_attention ON operations (client, opened)         WHERE attention;
CREATE INDEX operations_in_flight ON operations (in_flight)              WHERE in_flight IS NOT NULL;
CREATE INDEX operations_parent    ON operations (parent)                 WHERE parent IS NOT NULL;

-- What operations are for (a loan, an instalment), for searches.
CREATE TABLE links (
    name      text   COLLATE "C" NOT NULL,
    value     text   COLLATE "C" NOT NULL,
    client    text   COLLATE "C" NOT NULL,
    operation bigint NOT NULL,              -- operations.opened
    PRIMARY KEY (name, value, client, operation)
);

CREATE TABLE keys (
    client      text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    fingerprint text NOT NULL,
    operation   text NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (client, key)
);

CREATE TABLE records (
    position bigint PRIMARY KEY,
    id       text   NOT NULL,
    chain    text   COLLATE "C" NOT NULL,
    number   bigint NOT NULL,
    client   text   NOT NULL,
    kind     text   NOT NULL,
    at       timestamptz NOT NULL,
    leaf     bytea  NOT NULL,
    hash     text   NOT NULL,
    digest   text,
    content  text,
    body     bytea
);

CREATE UNIQUE INDEX records_chain ON records (chain, number);

CREATE TABLE events (
    cursor    bigint PRIMARY KEY,
    id        text   NOT NULL,
    client    text   COLLATE "C" NOT NULL,
    operation text   COLLATE "C" NOT NULL,
    type      text   NOT NULL,
    at        timestamptz NOT NULL,
    document  text   NOT NULL
);

CREATE INDEX events_client    ON events (client, cursor);
CREATE INDEX events_operation ON events (operation, cursor);

CREATE TABLE callbacks (
    id         text  COLLATE "C" PRIMARY KEY,
    connection text  COLLATE "C" NOT NULL,
    digest     text  COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    message    bytea NOT NULL,
    verdict    text,
    CONSTRAINT callbacks_digest UNIQUE (connection, digest)
);

CREATE TABLE tokens (
    connection text  COLLATE "C" NOT NULL,
    name       text  COLLATE "C" NOT NULL,
    sealed     bytea NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (connection, name)
);

-- What is sealed does not become smaller: trying to compress it is lost work.
ALTER TABLE records   ALTER COLUMN body    SET STORAGE EXTERNAL;
ALTER TABLE callbacks ALTER COLUMN message SET STORAGE EXTERNAL;
ALTER TABLE tokens    ALTER COLUMN sealed  SET STORAGE EXTERNAL;
