-- What was used in an hour (counted from 1970, UTC), by function; function '' is the organization:
-- what it stored, and the most runs it had at the same time on one server.
CREATE TABLE usage_hour (
    org           TEXT   COLLATE "C" NOT NULL,
    hour          BIGINT NOT NULL,
    function      TEXT   COLLATE "C" NOT NULL,
    runs          BIGINT NOT NULL,
    errors        BIGINT NOT NULL,
    duration_us   BIGINT NOT NULL,
    memory_mib_ms BIGINT NOT NULL,
    bytes_in      BIGINT NOT NULL,
    bytes_out     BIGINT NOT NULL,
    storage_bytes BIGINT NOT NULL,
    concurrency   BIGINT NOT NULL,
    PRIMARY KEY (org, hour, function)
);
CREATE INDEX usage_hour_of_all ON usage_hour (hour);

-- The sources of an organization.
CREATE INDEX resource_label_blob_of ON resource_label (org, value) WHERE label = 'blob';
