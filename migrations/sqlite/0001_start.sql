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
);
CREATE UNIQUE INDEX resource_name ON resource (kind, org, name);
CREATE INDEX resource_created ON resource (kind, org, created_ms, name);
CREATE INDEX resource_modified ON resource (kind, org, modified_ms, name);
CREATE INDEX resource_pending ON resource (kind, modified_ms)
    WHERE state IN ('INITIALIZED', 'CREATING', 'UPDATING', 'DELETING');

-- What resources are selected by and refer to: labels are tag:KEY, field:NAME, state, and blob for
-- the sources a function needs.
CREATE TABLE resource_label (
    org   TEXT NOT NULL,
    kind  TEXT NOT NULL,
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    name  TEXT NOT NULL,
    id    BLOB NOT NULL,
    PRIMARY KEY (kind, label, value, org, name)
) WITHOUT ROWID;
CREATE INDEX resource_label_id ON resource_label (id);
CREATE INDEX resource_label_blob ON resource_label (value) WHERE label = 'blob';

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

-- Runs; what is not searched by is in body, as JSON text. A run that is to be executed has due_us,
-- the time from which anybody may take it: its next attempt, or the end of the lease of whoever
-- executes it now.
CREATE TABLE run (
    org           TEXT    NOT NULL,
    id            BLOB    NOT NULL,
    function_name TEXT    NOT NULL,
    function_id   BLOB    NOT NULL,
    state         TEXT    NOT NULL,
    dead          INTEGER NOT NULL,
    body          TEXT    NOT NULL,
    due_us        INTEGER,
    lease_owner   BLOB,
    PRIMARY KEY (org, id)
);
CREATE INDEX run_function ON run (org, function_name, id);
CREATE INDEX run_state ON run (org, state, id) WHERE state <> 'READY';
CREATE INDEX run_due ON run (due_us) WHERE due_us IS NOT NULL;
CREATE INDEX run_lease ON run (lease_owner) WHERE lease_owner IS NOT NULL;
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
