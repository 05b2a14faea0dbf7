-- Which store this is, and when it was put back to an older day.

CREATE TABLE store_identity (
    one    integer PRIMARY KEY CHECK (one = 1),
    id     text    COLLATE "C" NOT NULL,    -- drawn anew with each quarantine: from there on it is another history
    marked boolean NOT NULL                 -- a high-water mark was once written for it
);

INSERT INTO store_identity VALUES (1, replace(gen_random_uuid()::text, '-', ''), false);

CREATE TABLE quarantines (
    id         text   COLLATE "C" PRIMARY KEY,
    began_at   timestamptz NOT NULL,
    cause      text   NOT NULL,
    before     text   COLLATE "C" NOT NULL, -- the identity that the store had
    number     bigint NOT NULL,             -- its last record then
    mark       bigint,                      -- the last record that the mark knew
    lost_since timestamptz,                 -- nothing that was sent before is lost; NULL: nobody knows
    prepared   boolean NOT NULL
);

CREATE TABLE quarantine_clearances (
    quarantine text   COLLATE "C" NOT NULL,
    connection text   COLLATE "C" NOT NULL, -- '*' is every one
    at         timestamptz NOT NULL,
    actor      text   NOT NULL,
    PRIMARY KEY (quarantine, connection)
);
