"""The processing log in PostgreSQL: six operations, chained by hash, in a partition for each month.

It holds who did what to which record ids, for what and on what basis, and nothing else that tells of a person. Rows are
only ever appended, by one function; what its erasure date has passed goes a month at a time, and the chain goes on from
the last hash of what went.
"""

TABLES = """
CREATE SCHEMA IF NOT EXISTS processing;
REVOKE ALL ON SCHEMA processing FROM PUBLIC;

CREATE TABLE IF NOT EXISTS processing.log (
    number bigint NOT NULL,
    at timestamptz NOT NULL,
    operation text NOT NULL CHECK (operation IN
        ('collection', 'alteration', 'consultation', 'disclosure', 'combination', 'erasure')),
    user_id text,
    role text,
    purpose text,
    legal_basis text,
    verb text NOT NULL,
    justification text,
    reference text,
    is_break_glass boolean NOT NULL,
    ticket uuid NOT NULL,
    answers uuid,
    records uuid[] NOT NULL,
    peer text,
    position bigint,
    digest bytea,
    xid xid8 NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (number, at)
) PARTITION BY RANGE (at);
DO $$ BEGIN  -- a table in use is locked only where there is something to change
    IF NOT EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = 'processing.log'::regclass AND attname = 'is_unmasking' AND NOT attisdropped) THEN
        ALTER TABLE processing.log ADD COLUMN is_unmasking boolean NOT NULL DEFAULT false;
    END IF;
END $$;
CREATE INDEX IF NOT EXISTS log_ticket ON processing.log (ticket);
CREATE INDEX IF NOT EXISTS log_answers ON processing.log (answers) WHERE answers IS NOT NULL;
CREATE INDEX IF NOT EXISTS log_records ON processing.log USING gin (records);
CREATE INDEX IF NOT EXISTS log_user ON processing.log (user_id, at);

CREATE TABLE IF NOT EXISTS processing.head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number bigint NOT NULL,
    hash bytea NOT NULL,
    followed bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20);
INSERT INTO processing.head (number, hash) VALUES (0, '') ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS processing.dropped (
    month date PRIMARY KEY,
    last_number bigint NOT NULL,
    last_hash bytea NOT NULL,
    rows bigint NOT NULL,
    dropped_at timestamptz NOT NULL DEFAULT now(),
    dropped_by text NOT NULL
);

CREATE TABLE IF NOT EXISTS processing.disclosed (peer text NOT NULL, number bigint NOT NULL);
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = 'processing.disclosed'::regclass AND attname = 'epoch' AND NOT attisdropped) THEN
        ALTER TABLE processing.disclosed ADD COLUMN epoch int NOT NULL DEFAULT 0;
        ALTER TABLE processing.disclosed DROP CONSTRAINT IF EXISTS disclosed_pkey;  -- it was of the peer alone
    END IF;
END $$;
CREATE UNIQUE INDEX IF NOT EXISTS disclosed_of ON processing.disclosed (peer, epoch);

CREATE TABLE IF NOT EXISTS processing.reviewed (
    ticket uuid PRIMARY KEY,
    reviewed_at timestamptz NOT NULL DEFAULT now(),
    reviewed_by text NOT NULL,
    finding text NOT NULL CHECK (finding IN ('justified', 'not-justified', 'needs-inquiry'))
);
"""

FUNCTIONS = """
CREATE OR REPLACE FUNCTION processing.partition_for(moment timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first timestamptz := date_trunc('month', moment, 'UTC');
    name text := 'log_' || to_char(moment AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    IF to_regclass('processing.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE IF NOT EXISTS processing.%I PARTITION OF processing.log'
                       ' FOR VALUES FROM (%L) TO (%L)',
                       name, first, date_trunc('month', first + interval '32 days', 'UTC'));
    END IF;
END $$;

CREATE OR REPLACE FUNCTION processing.append(told processing.log) RETURNS processing.log
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head processing.head;
BEGIN
    PERFORM set_config('synchronous_commit', 'on', true);
    SELECT * INTO STRICT head FROM processing.head FOR UPDATE;
    told.number := head.number + 1;
    told.at := date_trunc('microseconds', clock_timestamp());
    told.xid := pg_current_xact_id();
    told.records := coalesce(told.records, '{}');
    told.is_break_glass := coalesce(told.is_break_glass, false);
    told.is_unmasking := coalesce(told.is_unmasking, false);
    told.hash := sha256(head.hash || convert_to((jsonb_build_array(
        told.number, (extract(epoch FROM told.at) * 1000000)::bigint, told.operation, told.user_id, told.role,
        told.purpose, told.legal_basis, told.verb, told.justification, told.reference, told.is_break_glass,
        told.ticket, told.answers, to_jsonb(told.records), told.peer, told.position, encode(told.digest, 'hex')
    ) || CASE WHEN told.is_unmasking THEN jsonb '[true]' ELSE jsonb '[]' END)::text, 'UTF8'));
    PERFORM processing.partition_for(told.at);
    INSERT INTO processing.log SELECT told.*;
    UPDATE processing.head SET number = told.number, hash = told.hash;
    RETURN told;
END $$;

-- What the ledger and the feeds tell of processing: appended once, in their order.
CREATE OR REPLACE FUNCTION processing.tell(operation text, user_id text, role text, purpose text, legal_basis text,
        verb text, records uuid[], peer text, "position" bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told processing.log;
BEGIN
    told.operation := operation;
    told.user_id := user_id;
    told.role := role;
    told.purpose := purpose;
    told.legal_basis := legal_basis;
    told.verb := verb;
    told.ticket := gen_random_uuid();
    told.records := records;
    told.peer := peer;
    told."position" := "position";
    PERFORM processing.append(told);
END $$;

CREATE OR REPLACE FUNCTION processing.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the processing log is only ever appended to' USING ERRCODE = 'restrict_violation';
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE ON processing.log
    FOR EACH ROW EXECUTE FUNCTION processing.refuse();
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA processing FROM PUBLIC;
"""
