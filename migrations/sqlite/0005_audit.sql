-- Who changed what and who was refused. body is the entry's JSON, which its link is made of; the
-- columns beside it are what entries are found by. The settings audit.head and audit.cut say where
-- the log ends and up to where it was let go.
CREATE TABLE audit (
    seq        INTEGER NOT NULL PRIMARY KEY,
    time_ms    INTEGER NOT NULL,
    org        TEXT    NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    resource   TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    outcome    TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    link       TEXT    NOT NULL,
    seal       TEXT    NOT NULL
);
CREATE INDEX audit_time ON audit (time_ms, seq);
CREATE INDEX audit_org ON audit (org, seq);
CREATE INDEX audit_thing ON audit (resource, name, seq);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_request ON audit (request_id, seq);
