-- When something of an organization was first found to break a rule that has a grace period.
CREATE TABLE violation (
    org      TEXT COLLATE "C" NOT NULL,
    policy   TEXT COLLATE "C" NOT NULL,
    rule     TEXT COLLATE "C" NOT NULL,
    subject  TEXT COLLATE "C" NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (org, policy, rule, subject)
);

-- What a repository lists as signatures of an image, by the digest of its manifest. Whether one
-- holds is decided when somebody asks, by the keys that are trusted then.
CREATE TABLE signature (
    repository TEXT COLLATE "C" NOT NULL,
    digest     TEXT COLLATE "C" NOT NULL,
    signature  TEXT COLLATE "C" NOT NULL,
    payload    BYTEA NOT NULL,
    PRIMARY KEY (repository, digest, signature)
);
CREATE INDEX signature_digest ON signature (digest);

-- The imported vulnerability database, in parts; the setting vulnerability.database names the
-- digest of the one that holds.
CREATE TABLE vulnerability_part (
    digest     TEXT COLLATE "C" NOT NULL,
    part       BIGINT NOT NULL,
    bytes      BYTEA NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (digest, part)
);

-- Names are those of an ecosystem: everything is scanned anew.
DROP TABLE finding;
CREATE TABLE finding (
    digest    TEXT COLLATE "C" NOT NULL,
    ecosystem TEXT COLLATE "C" NOT NULL,
    package   TEXT COLLATE "C" NOT NULL,
    version   TEXT COLLATE "C" NOT NULL,
    id        TEXT COLLATE "C" NOT NULL,
    severity  BIGINT NOT NULL,
    body      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (digest, ecosystem, package, version, id)
);
UPDATE content SET scanned = '';

-- The content of an organization.
CREATE INDEX resource_label_content_of ON resource_label (org, value, kind, name)
    WHERE label IN ('field:digest', 'field:image_digest');
