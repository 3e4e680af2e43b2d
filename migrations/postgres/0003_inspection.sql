-- When something of an organization was first found to break a rule that has a grace period.
CREATE TABLE violation (
    org      TEXT COLLATE "C" NOT NULL,
    policy   TEXT COLLATE "C" NOT NULL,
    rule     TEXT COLLATE "C" NOT NULL,
    subject  TEXT COLLATE "C" NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (org, policy, rule, subject)
);

-- What registries list as signatures of an image, by the digest of its manifest. Whether one holds
-- is decided when somebody asks, by the keys that are trusted then.
CREATE TABLE signature (
    digest    TEXT COLLATE "C" NOT NULL,
    signature TEXT COLLATE "C" NOT NULL,
    payload   BYTEA NOT NULL,
    PRIMARY KEY (digest, signature)
);

-- The imported vulnerability database, in parts; the setting vulnerability.database names the
-- digest of the one that holds.
CREATE TABLE vulnerability_part (
    digest     TEXT COLLATE "C" NOT NULL,
    part       BIGINT NOT NULL,
    bytes      BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (digest, part)
);

CREATE INDEX finding_severity ON finding (severity, digest);
