-- Images that a version of a function needs to run again.
CREATE INDEX resource_label_kept ON resource_label (value) WHERE label = 'kept';

-- Functions have versions now: the first is made of what each is.
UPDATE resource SET state = 'UPDATING', status = '{}'
    WHERE kind = 'Function' AND state IN ('READY', 'ERROR', 'UPDATING', 'CREATING');
UPDATE resource_label SET value = 'UPDATING'
    WHERE kind = 'Function' AND label = 'state'
    AND value IN ('READY', 'ERROR', 'UPDATING', 'CREATING');
