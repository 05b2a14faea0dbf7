-- By what everything about a person is found again. A tag is an HMAC: the person stands nowhere in clear.

CREATE TABLE subject_tags (
    client    TEXT NOT NULL,
    tag       TEXT NOT NULL,
    operation TEXT NOT NULL,
    PRIMARY KEY (client, tag, operation)
) STRICT, WITHOUT ROWID;

CREATE TABLE callback_matches (
    operation TEXT NOT NULL,
    callback  TEXT NOT NULL,
    PRIMARY KEY (operation, callback)
) STRICT, WITHOUT ROWID;
