-- Versions of secrets that were replaced by later ones. spec is JSON text, as it was in resource.
-- They go with their secret.
CREATE TABLE secret_version (
    secret BLOB    NOT NULL,
    number INTEGER NOT NULL,
    spec   TEXT    NOT NULL,
    PRIMARY KEY (secret, number)
);
