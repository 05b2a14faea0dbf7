-- By what everything about a person is found again. A tag is an HMAC: the person stands nowhere in clear.

CREATE TABLE subject_tags (
    client    text COLLATE "C" NOT NULL,
    tag       text COLLATE "C" NOT NULL,
    operation text COLLATE "C" NOT NULL,
    PRIMARY KEY (client, tag, operation)
);

CREATE TABLE callback_matches (
    operation text COLLATE "C" NOT NULL,
    callback  text COLLATE "C" NOT NULL,
    PRIMARY KEY (operation, callback)
);
