-- Who changed what and who was refused. body is the entry's JSON, which its link is made of; the
-- columns beside it are what entries are found by. The settings audit.head and audit.cut say where
-- the log ends and up to where it was let go.
CREATE TABLE audit (
    seq        BIGINT NOT NULL PRIMARY KEY,
    time_ms    BIGINT NOT NULL,
    org        TEXT COLLATE "C" NOT NULL,
    actor      TEXT COLLATE "C" NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    resource   TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C" NOT NULL,
    body       TEXT COLLATE "C" NOT NULL,
    link       TEXT COLLATE "C" NOT NULL,
    seal       TEXT COLLATE "C" NOT NULL
);
CREATE INDEX audit_time ON audit (time_ms, seq);
CREATE INDEX audit_org ON audit (org, seq);
CREATE INDEX audit_thing ON audit (resource, name, seq);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_request ON audit (request_id, seq);
