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
CREATE UNIQUE INDEX resource_name ON resource (org, kind, name);
CREATE INDEX resource_created ON resource (org, kind, created_ms, name);
CREATE INDEX resource_modified ON resource (org, kind, modified_ms, name);
CREATE INDEX resource_state ON resource (org, kind, state, name);
CREATE INDEX resource_pending ON resource (kind, modified_ms)
    WHERE state IN ('INITIALIZED', 'CREATING', 'UPDATING', 'DELETING');

-- What resources are selected by and refer to: labels are tag:KEY or field:NAME.
CREATE TABLE resource_label (
    org   TEXT COLLATE "C" NOT NULL,
    kind  TEXT COLLATE "C" NOT NULL,
    label TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    name  TEXT COLLATE "C" NOT NULL,
    id    UUID NOT NULL,
    PRIMARY KEY (org, kind, label, value, name)
);
CREATE INDEX resource_label_id ON resource_label (id);

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

-- Runs; body is the whole run as JSON text, the rest is what is searched by. A run that waits to
-- be executed has next_attempt_us; who executes it holds the lease.
CREATE TABLE run (
    org             TEXT COLLATE "C" NOT NULL,
    id              UUID    NOT NULL,
    function_name   TEXT COLLATE "C" NOT NULL,
    function_id     UUID    NOT NULL,
    state           TEXT COLLATE "C" NOT NULL,
    dead            BIGINT NOT NULL,
    body            TEXT COLLATE "C" NOT NULL,
    next_attempt_us BIGINT,
    lease_owner     UUID,
    lease_until_us  BIGINT,
    PRIMARY KEY (org, id)
);
CREATE INDEX run_function ON run (org, function_name, id);
CREATE INDEX run_due ON run (next_attempt_us) WHERE next_attempt_us IS NOT NULL;
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
