-- Which store this is, and when it was put back to an older day.

CREATE TABLE store_identity (
    one    INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    id     TEXT    NOT NULL,                -- drawn anew with each quarantine: from there on it is another history
    marked INTEGER NOT NULL CHECK (marked IN (0, 1))  -- a high-water mark was once written for it
) STRICT;

INSERT INTO store_identity VALUES (1, lower(hex(randomblob(16))), 0);

CREATE TABLE quarantines (
    id         TEXT    NOT NULL PRIMARY KEY,
    began_at   INTEGER NOT NULL,
    cause      TEXT    NOT NULL,
    before     TEXT    NOT NULL,            -- the identity that the store had
    number     INTEGER NOT NULL,            -- its last record then
    mark       INTEGER,                     -- the last record that the mark knew
    lost_since INTEGER,                     -- nothing that was sent before is lost; NULL: nobody knows
    prepared   INTEGER NOT NULL CHECK (prepared IN (0, 1))
) STRICT;

CREATE TABLE quarantine_clearances (
    quarantine TEXT    NOT NULL,
    connection TEXT    NOT NULL,            -- '*' is every one
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    PRIMARY KEY (quarantine, connection)
) STRICT, WITHOUT ROWID;
