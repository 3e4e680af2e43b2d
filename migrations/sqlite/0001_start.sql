-- Resources of every kind. spec and status are JSON text, as dispatch_model writes them.
CREATE TABLE resource (
    id          BLOB    NOT NULL PRIMARY KEY,
    org         TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    tags        TEXT    NOT NULL,
    spec        TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    created_ms  INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX resource_name ON resource (org, kind, name);
CREATE INDEX resource_created ON resource (org, kind, created_ms, name);
CREATE INDEX resource_modified ON resource (org, kind, modified_ms, name);
CREATE INDEX resource_state ON resource (org, kind, state, name);
CREATE INDEX resource_pending ON resource (kind, modified_ms)
    WHERE state IN ('INITIALIZED', 'CREATING', 'UPDATING', 'DELETING');

-- What resources are selected by and refer to: labels are tag:KEY or field:NAME.
CREATE TABLE resource_label (
    org   TEXT NOT NULL,
    kind  TEXT NOT NULL,
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    name  TEXT NOT NULL,
    id    BLOB NOT NULL,
    PRIMARY KEY (org, kind, label, value, name)
) WITHOUT ROWID;
CREATE INDEX resource_label_id ON resource_label (id);

-- One line for each change of a resource, in the order of commit.
CREATE TABLE change (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    org      TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    op       TEXT    NOT NULL,
    revision INTEGER NOT NULL
);

CREATE TABLE blob (
    digest     TEXT    NOT NULL PRIMARY KEY,
    bytes      BLOB    NOT NULL,
    created_ms INTEGER NOT NULL
);

CREATE TABLE setting (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Runs; body is the whole run as JSON text, the rest is what is searched by. A run that waits to
-- be executed has next_attempt_us; who executes it holds the lease.
CREATE TABLE run (
    org             TEXT    NOT NULL,
    id              BLOB    NOT NULL,
    function_name   TEXT    NOT NULL,
    function_id     BLOB    NOT NULL,
    state           TEXT    NOT NULL,
    dead            INTEGER NOT NULL,
    body            TEXT    NOT NULL,
    next_attempt_us INTEGER,
    lease_owner     BLOB,
    lease_until_us  INTEGER,
    PRIMARY KEY (org, id)
) WITHOUT ROWID;
CREATE INDEX run_function ON run (org, function_name, id);
CREATE INDEX run_due ON run (next_attempt_us) WHERE next_attempt_us IS NOT NULL;
CREATE INDEX run_dead ON run (org, id) WHERE dead = 1;

-- Idempotency keys of run requests.
CREATE TABLE run_key (
    org           TEXT    NOT NULL,
    function_name TEXT    NOT NULL,
    idempotency   TEXT    NOT NULL,
    run_id        BLOB    NOT NULL,
    created_ms    INTEGER NOT NULL,
    PRIMARY KEY (org, function_name, idempotency)
) WITHOUT ROWID;
