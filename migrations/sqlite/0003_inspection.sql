-- When something of an organization was first found to break a rule that has a grace period.
CREATE TABLE violation (
    org      TEXT NOT NULL,
    policy   TEXT NOT NULL,
    rule     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (org, policy, rule, subject)
) WITHOUT ROWID;

-- What registries list as signatures of an image, by the digest of its manifest. Whether one holds
-- is decided when somebody asks, by the keys that are trusted then.
CREATE TABLE signature (
    digest    TEXT NOT NULL,
    signature TEXT NOT NULL,
    payload   BLOB NOT NULL,
    PRIMARY KEY (digest, signature)
);

-- The imported vulnerability database, in parts; the setting vulnerability.database names the
-- digest of the one that holds.
CREATE TABLE vulnerability_part (
    digest     TEXT NOT NULL,
    part       INTEGER NOT NULL,
    bytes      BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (digest, part)
);

CREATE INDEX finding_severity ON finding (severity, digest);
