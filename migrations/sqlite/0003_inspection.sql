-- When something of an organization was first found to break a rule that has a grace period.
CREATE TABLE violation (
    org      TEXT NOT NULL,
    policy   TEXT NOT NULL,
    rule     TEXT NOT NULL,
    subject  TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (org, policy, rule, subject)
) WITHOUT ROWID;

-- What a repository lists as signatures of an image, by the digest of its manifest. Whether one
-- holds is decided when somebody asks, by the keys that are trusted then.
CREATE TABLE signature (
    repository TEXT NOT NULL,
    digest     TEXT NOT NULL,
    signature  TEXT NOT NULL,
    payload    BLOB NOT NULL,
    PRIMARY KEY (repository, digest, signature)
);
CREATE INDEX signature_digest ON signature (digest);

-- The imported vulnerability database, in parts; the setting vulnerability.database names the
-- digest of the one that holds.
CREATE TABLE vulnerability_part (
    digest     TEXT NOT NULL,
    part       INTEGER NOT NULL,
    bytes      BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (digest, part)
);

-- Names are those of an ecosystem: everything is scanned anew.
DROP TABLE finding;
CREATE TABLE finding (
    digest    TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    package   TEXT NOT NULL,
    version   TEXT NOT NULL,
    id        TEXT NOT NULL,
    severity  INTEGER NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (digest, ecosystem, package, version, id)
) WITHOUT ROWID;
UPDATE content SET scanned = '';

-- The content of an organization.
CREATE INDEX resource_label_content_of ON resource_label (org, value, kind, name)
    WHERE label IN ('field:digest', 'field:image_digest');
