-- Resources of every kind. spec and status are JSON text, as dispatch_model writes them.
CREATE TABLE resource (
    id          UUID    NOT NULL PRIMARY KEY,
    org         TEXT COLLATE "C" NOT NULL,
    kind        TEXT COLLATE "C" NOT NULL,
    name        TEXT COLLATE "C" NOT NULL,
    revision    BIGINT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    reason      TEXT COLLATE "C" NOT NULL,
    tags        TEXT COLLATE "C" NOT NULL,
    spec        TEXT COLLATE "C" NOT NULL,
    status      TEXT COLLATE "C" NOT NULL,
    created_ms  BIGINT NOT NULL,
    modified_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX resource_name ON resource (kind, org, name);
CREATE INDEX resource_created ON resource (kind, org, created_ms, name);
CREATE INDEX resource_modified ON resource (kind, org, modified_ms, name);
CREATE INDEX resource_pending ON resource (kind, modified_ms)
    WHERE state IN ('INITIALIZED', 'CREATING', 'UPDATING', 'DELETING');

-- What resources are selected by and refer to: labels are tag:KEY, field:NAME, state, and blob for
-- the sources a function needs.
CREATE TABLE resource_label (
    org   TEXT COLLATE "C" NOT NULL,
    kind  TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    name  TEXT COLLATE "C" NOT NULL,
    id    UUID NOT NULL,
    PRIMARY KEY (kind, label, value, org, name)
);
CREATE INDEX resource_label_id ON resource_label (id);
CREATE INDEX resource_label_blob ON resource_label (value) WHERE label = 'blob';

-- One line for each change of a resource, in the order of commit.
CREATE TABLE change (
    seq      BIGSERIAL PRIMARY KEY,
    org      TEXT COLLATE "C" NOT NULL,
    kind     TEXT COLLATE "C" NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    id       UUID    NOT NULL,
    op       TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE blob (
    digest     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    bytes      BYTEA   NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE setting (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

-- Runs; what is not searched by is in body, as JSON text. A run that is to be executed has due_us,
-- the time from which anybody may take it: its next attempt, or the end of the lease of whoever
-- executes it now.
CREATE TABLE run (
    org           TEXT COLLATE "C" NOT NULL,
    id            UUID    NOT NULL,
    function_name TEXT COLLATE "C" NOT NULL,
    function_id   UUID    NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    dead          BIGINT  NOT NULL,
    body          TEXT COLLATE "C" NOT NULL,
    due_us        BIGINT,
    lease_owner   UUID,
    PRIMARY KEY (org, id)
);
CREATE INDEX run_function ON run (org, function_name, id);
CREATE INDEX run_state ON run (org, state, id) WHERE state <> 'READY';
CREATE INDEX run_due ON run (due_us) WHERE due_us IS NOT NULL;
CREATE INDEX run_lease ON run (lease_owner) WHERE lease_owner IS NOT NULL;
CREATE INDEX run_dead ON run (org, id) WHERE dead = 1;

-- Idempotency keys of run requests.
CREATE TABLE run_key (
    org           TEXT COLLATE "C" NOT NULL,
    function_name TEXT COLLATE "C" NOT NULL,
    idempotency   TEXT COLLATE "C" NOT NULL,
    run_id        UUID    NOT NULL,
    created_ms    BIGINT NOT NULL,
    PRIMARY KEY (org, function_name, idempotency)
);
