-- What images are made of, by the digest of their manifest: written once, shared by all
-- organizations, found through the labels of resources that have the digest.
CREATE TABLE content (
    digest     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    body       TEXT COLLATE "C" NOT NULL,
    -- The vulnerability database its findings come from.
    scanned    TEXT COLLATE "C" NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX content_scanned ON content (scanned);

CREATE TABLE package (
    name      TEXT COLLATE "C" NOT NULL,
    digest    TEXT COLLATE "C" NOT NULL,
    ecosystem TEXT COLLATE "C" NOT NULL,
    version   TEXT COLLATE "C" NOT NULL,
    body      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (name, digest, ecosystem, version)
);
CREATE INDEX package_digest ON package (digest);

-- severity: 0 unknown, 1 low, 2 medium, 3 high, 4 critical.
CREATE TABLE finding (
    digest   TEXT COLLATE "C" NOT NULL,
    id       TEXT COLLATE "C" NOT NULL,
    package  TEXT COLLATE "C" NOT NULL,
    version  TEXT COLLATE "C" NOT NULL,
    severity BIGINT NOT NULL,
    body     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (digest, id, package, version)
);

-- Resources by the content they have.
CREATE INDEX resource_label_content ON resource_label (value, org)
    WHERE label IN ('field:digest', 'field:image_digest');
