-- What images are made of, by the digest of their manifest: written once, shared by all
-- organizations, found through the labels of resources that have the digest.
CREATE TABLE content (
    digest     TEXT    NOT NULL PRIMARY KEY,
    body       TEXT    NOT NULL,
    -- The vulnerability database its findings come from.
    scanned    TEXT    NOT NULL,
    created_ms INTEGER NOT NULL
);
CREATE INDEX content_scanned ON content (scanned);

CREATE TABLE package (
    name      TEXT NOT NULL,
    digest    TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    version   TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (name, digest, ecosystem, version)
) WITHOUT ROWID;
CREATE INDEX package_digest ON package (digest);

-- severity: 0 unknown, 1 low, 2 medium, 3 high, 4 critical.
CREATE TABLE finding (
    digest   TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    package  TEXT    NOT NULL,
    version  TEXT    NOT NULL,
    severity INTEGER NOT NULL,
    body     TEXT    NOT NULL,
    PRIMARY KEY (digest, id, package, version)
) WITHOUT ROWID;

-- Resources by the content they have.
CREATE INDEX resource_label_content ON resource_label (value, org)
    WHERE label IN ('field:digest', 'field:image_digest');
