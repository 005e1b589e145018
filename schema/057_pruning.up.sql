-- For `projector prune` (docs/pruning.md) and `projector erase` (docs/erasing.md).

-- The delegations whose rows were pruned, and the repeated requests that had lost to one of them. Their ids and their
-- idempotency keys stay used: an event that comes later, or again, must not make a row as if it were new. So the projector
-- reads such a delegation as one that has ended. Verify and rebuild fold with the same list.
CREATE TABLE projector.pruned (
    delegation_id   TEXT PRIMARY KEY,
    caller_id       UUID,                -- with the key alone
    idempotency_key TEXT,
    pruned_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    CHECK ((caller_id IS NULL) = (idempotency_key IS NULL))
);
CREATE UNIQUE INDEX pruned_key ON projector.pruned (caller_id, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- The projector reads the list itself. All others do not know it: members of the release before, which are still running,
-- services that write with the ledger, `projector deleted restore`, people. AFTER, since an insert may have waited until
-- the row was pruned. A member of the release before keeps such a record as a dead letter: `projector dead-letters retry`
-- of this release projects it.
CREATE FUNCTION projector.refuse_pruned() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    pruned_id text;
BEGIN
    SELECT p.delegation_id INTO pruned_id FROM projector.pruned p
     WHERE p.delegation_id = NEW.delegation_id
        OR (p.caller_id = NEW.caller_id AND p.idempotency_key = NEW.idempotency_key) LIMIT 1;
    IF pruned_id = NEW.delegation_id THEN
        RAISE 'delegation % was pruned, and its id stays used', pruned_id;
    ELSIF FOUND THEN
        RAISE 'delegation % was pruned, and its idempotency key, which delegation % has too, stays used',
              pruned_id, NEW.delegation_id;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER projector_refuse_pruned AFTER INSERT ON delegations FOR EACH ROW
    WHEN (current_setting('projector.knows_pruned', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION projector.refuse_pruned();

-- The delegations whose texts were erased. A fold of verify and rebuild brings their texts back from its source: they are
-- erased there too before anything is compared.
CREATE TABLE projector.erased (
    delegation_id TEXT PRIMARY KEY,
    erased_at     TIMESTAMPTZ NOT NULL DEFAULT now()
);
