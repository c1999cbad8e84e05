"""The tables of proof: checkpoints, cosignatures, faults that were found, and how checking stands.

All but the last are only ever inserted into. They are made with the ledger's tables, and added to a ledger that was
made before them. Nothing here is trusted for itself: a checkpoint counts for its signature, not for lying here.
"""

TABLES = """
CREATE TABLE IF NOT EXISTS ledger.checkpoint (
    size bigint NOT NULL CHECK (size > 0),
    key_id bytea NOT NULL,
    note text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (size, key_id)
);
CREATE TABLE IF NOT EXISTS ledger.cosignature (
    size bigint NOT NULL,
    witness text NOT NULL,
    public_key bytea NOT NULL,
    line text NOT NULL,
    cosigned_at timestamptz NOT NULL,
    PRIMARY KEY (size, witness)
);
CREATE TABLE IF NOT EXISTS ledger.fault (
    fault_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    found_at timestamptz NOT NULL DEFAULT now(),
    run text NOT NULL,
    position bigint,
    record_id uuid,
    version integer,
    what text NOT NULL
);
CREATE TABLE IF NOT EXISTS ledger.proof_state (
    run text PRIMARY KEY,
    checked_at timestamptz NOT NULL,
    size bigint NOT NULL,
    faults bigint NOT NULL,
    first_fault text
);
CREATE TABLE IF NOT EXISTS ledger.loss (
    serial integer PRIMARY KEY,
    size bigint NOT NULL,
    root bytea NOT NULL,
    kept_size bigint NOT NULL,
    kept_root bytea NOT NULL,
    note text NOT NULL,
    reason text NOT NULL,
    acknowledged_by text NOT NULL,
    acknowledged_at timestamptz NOT NULL DEFAULT now()
);
"""
IS_THERE = """
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = 'ledger' AND c.relname = 'loss')
"""
INSERT_ONLY = ("checkpoint", "cosignature", "fault", "loss")
