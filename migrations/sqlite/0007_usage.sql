-- What was used in an hour (counted from 1970, UTC), by function; function '' is the organization:
-- what it stored, and the most runs it had at the same time on one server.
CREATE TABLE usage_hour (
    org           TEXT    NOT NULL,
    hour          INTEGER NOT NULL,
    function      TEXT    NOT NULL,
    runs          INTEGER NOT NULL,
    errors        INTEGER NOT NULL,
    duration_us   INTEGER NOT NULL,
    memory_mib_ms INTEGER NOT NULL,
    bytes_in      INTEGER NOT NULL,
    bytes_out     INTEGER NOT NULL,
    storage_bytes INTEGER NOT NULL,
    concurrency   INTEGER NOT NULL,
    PRIMARY KEY (org, hour, function)
) WITHOUT ROWID;
CREATE INDEX usage_hour_of_all ON usage_hour (hour);

-- The sources of an organization.
CREATE INDEX resource_label_blob_of ON resource_label (org, value) WHERE label = 'blob';
