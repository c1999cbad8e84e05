"""The tables of the exchange, in PostgreSQL schema `exchange`, beside the ledger that they follow.

Decisions are never changed (a trigger refuses it); everything else here is what the exchange has got to, or a copy of
what it sent and received. No table holds a key that opens personal data, but for `boxed_key`, which only its addressee
can open.
"""

from hashlib import sha256

from ledger import erasure
from ledger import schema as ledger_schema
from ledger.sessions import connect

LOCK = 0x6E63656E_78  # "ncen" and x: one process makes the tables at a time

STATEMENTS = """
CREATE SCHEMA IF NOT EXISTS exchange;

CREATE TABLE IF NOT EXISTS exchange.own (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  node text NOT NULL,
  role text NOT NULL CHECK (role IN ('nation', 'cen'))
);
CREATE TABLE IF NOT EXISTS exchange.peer (
  node text PRIMARY KEY,
  role text NOT NULL CHECK (role IN ('nation', 'cen')),
  signing_key bytea NOT NULL CHECK (length(signing_key) = 32),
  box_key bytea NOT NULL CHECK (length(box_key) = 32),
  nats_url text,
  added_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE exchange.peer ADD COLUMN IF NOT EXISTS state text NOT NULL DEFAULT 'active'
  CHECK (state IN ('active', 'suspended', 'removed'));
ALTER TABLE exchange.peer ADD COLUMN IF NOT EXISTS state_at timestamptz;
ALTER TABLE exchange.peer ADD COLUMN IF NOT EXISTS successions text[] NOT NULL DEFAULT '{}';
ALTER TABLE exchange.peer ADD COLUMN IF NOT EXISTS held text CHECK (held IN ('revoked', 'two-successors'));
ALTER TABLE exchange.peer ADD COLUMN IF NOT EXISTS held_card text;
ALTER TABLE exchange.peer ADD COLUMN IF NOT EXISTS boxed_from bigint NOT NULL DEFAULT 0;
ALTER TABLE exchange.peer ADD COLUMN IF NOT EXISTS met bytea;

-- what we send ------------------------------------------------------------------------------------------------------
CREATE TABLE IF NOT EXISTS exchange.premise (
  record_id uuid PRIMARY KEY,
  version int NOT NULL,
  state bytea NOT NULL
);
CREATE TABLE IF NOT EXISTS exchange.premise_walk (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  position bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS exchange.feed (
  peer text PRIMARY KEY,
  position bigint NOT NULL DEFAULT 0,
  number bigint NOT NULL DEFAULT 0,
  frontier bytea NOT NULL DEFAULT '',
  sweep bigint,
  recheck bigint,
  premises bytea NOT NULL DEFAULT '',
  generation int NOT NULL DEFAULT 0
);
ALTER TABLE exchange.feed ADD COLUMN IF NOT EXISTS epoch int NOT NULL DEFAULT 0;
ALTER TABLE exchange.feed ADD COLUMN IF NOT EXISTS is_parted boolean NOT NULL DEFAULT false;
CREATE TABLE IF NOT EXISTS exchange.matter (
  peer text NOT NULL,
  record_id uuid NOT NULL,
  state bytea NOT NULL,
  PRIMARY KEY (peer, record_id)
);
CREATE TABLE IF NOT EXISTS exchange.again (
  peer text NOT NULL,
  record_id uuid NOT NULL,
  PRIMARY KEY (peer, record_id)
);
CREATE TABLE IF NOT EXISTS exchange.decision (
  peer text NOT NULL,
  position bigint NOT NULL,
  decision int NOT NULL,
  record_id uuid NOT NULL,
  version int NOT NULL,
  reason text,
  premise_id uuid,
  premise_version int,
  number bigint,
  decided_at timestamptz NOT NULL,
  PRIMARY KEY (peer, position, decision),
  CHECK ((reason IS NULL) = (number IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS decision_record ON exchange.decision (peer, record_id);
ALTER TABLE exchange.decision ADD COLUMN IF NOT EXISTS epoch int NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS exchange.feed_out (
  peer text NOT NULL,
  number bigint NOT NULL,
  position bigint NOT NULL,
  record_id uuid NOT NULL,
  core bytea NOT NULL,
  boxed_key bytea,
  leaf_hash bytea NOT NULL,
  proof bytea NOT NULL,
  checkpoint text,
  premise_id uuid,
  held bytea,
  PRIMARY KEY (peer, number)
);
CREATE TABLE IF NOT EXISTS exchange.receipt (
  peer text NOT NULL,
  size bigint NOT NULL,
  note text NOT NULL,
  quarantined bigint NOT NULL,
  stopped text,
  received_at timestamptz NOT NULL,
  PRIMARY KEY (peer, size)
);

-- what we had sent before a loss: put aside when a feed begins anew, with both heads to be seen
CREATE TABLE IF NOT EXISTS exchange.feed_before (
  peer text NOT NULL,
  epoch int NOT NULL,
  size bigint NOT NULL,
  number bigint NOT NULL,
  frontier bytea NOT NULL,
  ended_at timestamptz NOT NULL,
  PRIMARY KEY (peer, epoch)
);
CREATE TABLE IF NOT EXISTS exchange.feed_out_before (
  peer text NOT NULL,
  epoch int NOT NULL,
  number bigint NOT NULL,
  position bigint NOT NULL,
  record_id uuid NOT NULL,
  core bytea NOT NULL,
  leaf_hash bytea NOT NULL,
  proof bytea NOT NULL,
  checkpoint text,
  premise_id uuid,
  held bytea,
  PRIMARY KEY (peer, epoch, number)
);
CREATE TABLE IF NOT EXISTS exchange.receipt_before (
  peer text NOT NULL,
  epoch int NOT NULL,
  size bigint NOT NULL,
  note text NOT NULL,
  received_at timestamptz NOT NULL,
  PRIMARY KEY (peer, epoch, size)
);

-- what we receive ---------------------------------------------------------------------------------------------------
CREATE TABLE IF NOT EXISTS exchange.inbox_feed (
  origin text PRIMARY KEY,
  number bigint NOT NULL DEFAULT 0,
  frontier bytea NOT NULL DEFAULT '',
  checkpoint text,
  premises bytea NOT NULL DEFAULT '',
  judged bigint,
  stopped text,
  evidence bytea,
  stopped_at timestamptz
);
ALTER TABLE exchange.inbox_feed ADD COLUMN IF NOT EXISTS arrived int NOT NULL DEFAULT 0;
CREATE TABLE IF NOT EXISTS exchange.inbox (
  origin text NOT NULL,
  number bigint NOT NULL,
  leaf_hash bytea NOT NULL,
  core bytea,
  proof bytea NOT NULL,
  record_id uuid,
  version int,
  outcome text NOT NULL CHECK (outcome IN ('recorded', 'repeated', 'held', 'quarantined')),
  reason text,
  boxed_key bytea,
  received_at timestamptz NOT NULL,
  PRIMARY KEY (origin, number)
);
CREATE INDEX IF NOT EXISTS inbox_quarantine ON exchange.inbox (origin, number) WHERE outcome = 'quarantined';
CREATE INDEX IF NOT EXISTS inbox_held ON exchange.inbox (origin, number) WHERE outcome = 'held';
CREATE INDEX IF NOT EXISTS inbox_record ON exchange.inbox (record_id, version);
CREATE TABLE IF NOT EXISTS exchange.inbox_checkpoint (
  origin text NOT NULL,
  size bigint NOT NULL,
  note text NOT NULL,
  stored_at timestamptz,
  PRIMARY KEY (origin, size)
);
ALTER TABLE exchange.inbox_feed ADD COLUMN IF NOT EXISTS epoch int NOT NULL DEFAULT 0;
ALTER TABLE exchange.inbox_feed ADD COLUMN IF NOT EXISTS passed int NOT NULL DEFAULT 0;

-- what we had received before its sender lost it: put aside when the feed begins anew
CREATE TABLE IF NOT EXISTS exchange.inbox_opening (
  origin text NOT NULL,
  epoch int NOT NULL,
  note text NOT NULL,
  told_at timestamptz NOT NULL,
  accepted_at timestamptz,
  PRIMARY KEY (origin, epoch)
);
CREATE TABLE IF NOT EXISTS exchange.inbox_feed_before (
  origin text NOT NULL,
  epoch int NOT NULL,
  number bigint NOT NULL,
  frontier bytea NOT NULL,
  checkpoint text,
  stopped text,
  evidence bytea,
  stopped_at timestamptz,
  ended_at timestamptz NOT NULL,
  PRIMARY KEY (origin, epoch)
);
CREATE TABLE IF NOT EXISTS exchange.inbox_before (
  origin text NOT NULL,
  epoch int NOT NULL,
  number bigint NOT NULL,
  leaf_hash bytea NOT NULL,
  core bytea,
  proof bytea NOT NULL,
  record_id uuid,
  version int,
  outcome text NOT NULL,
  reason text,
  received_at timestamptz NOT NULL,
  PRIMARY KEY (origin, epoch, number)
);
CREATE TABLE IF NOT EXISTS exchange.inbox_checkpoint_before (
  origin text NOT NULL,
  epoch int NOT NULL,
  size bigint NOT NULL,
  note text NOT NULL,
  PRIMARY KEY (origin, epoch, size)
);

-- erasures ------------------------------------------------------------------------------------------------------
CREATE TABLE IF NOT EXISTS exchange.withdrawn (
  peer text NOT NULL,
  erasure_id uuid NOT NULL,
  lines int NOT NULL,
  withdrawn_at timestamptz NOT NULL,
  PRIMARY KEY (peer, erasure_id)
);
CREATE TABLE IF NOT EXISTS exchange.erasure_notice (
  peer text NOT NULL,
  subject uuid NOT NULL,
  number bigint NOT NULL,
  noticed_at timestamptz NOT NULL,
  confirmed_at timestamptz,
  confirmation text,
  PRIMARY KEY (peer, subject)
);
CREATE TABLE IF NOT EXISTS exchange.erasure_confirmation (
  origin text NOT NULL,
  subject uuid NOT NULL,
  number bigint NOT NULL,
  note text NOT NULL,
  stored_at timestamptz,
  PRIMARY KEY (origin, subject)
);

-- what we have witnessed of our peers' ledgers --------------------------------------------------------------------
CREATE TABLE IF NOT EXISTS exchange.witnessed (
  origin text NOT NULL,
  size bigint NOT NULL,
  root bytea NOT NULL,
  note text NOT NULL,
  line text NOT NULL,
  cosigned_at timestamptz NOT NULL,
  PRIMARY KEY (origin, size)
);
CREATE TABLE IF NOT EXISTS exchange.peer_succession (
  origin text NOT NULL,
  serial int NOT NULL,
  note text NOT NULL,
  PRIMARY KEY (origin, serial)
);
CREATE TABLE IF NOT EXISTS exchange.peer_loss (
  origin text NOT NULL,
  serial int NOT NULL,
  note text NOT NULL,
  told_at timestamptz NOT NULL,
  accepted_at timestamptz,
  PRIMARY KEY (origin, serial)
);
CREATE TABLE IF NOT EXISTS exchange.witnessed_lost (
  origin text NOT NULL,
  serial int NOT NULL,
  size bigint NOT NULL,
  root bytea NOT NULL,
  note text NOT NULL,
  line text NOT NULL,
  cosigned_at timestamptz NOT NULL,
  PRIMARY KEY (origin, serial, size)
);
CREATE TABLE IF NOT EXISTS exchange.witness_refusal (
  origin text NOT NULL,
  reason text NOT NULL,
  size bigint NOT NULL,
  note text NOT NULL,
  times bigint NOT NULL,
  first_at timestamptz NOT NULL,
  last_at timestamptz NOT NULL,
  PRIMARY KEY (origin, reason, size)
);

-- what the CEN is told ----------------------------------------------------------------------------------------------
CREATE TABLE IF NOT EXISTS exchange.told (
  peer text NOT NULL,
  record_id uuid NOT NULL,
  state bytea NOT NULL,
  PRIMARY KEY (peer, record_id)
);
CREATE TABLE IF NOT EXISTS exchange.cell (
  peer text NOT NULL,
  cell bytea NOT NULL,
  seizures int NOT NULL,
  PRIMARY KEY (peer, cell)
);

CREATE OR REPLACE VIEW exchange.open_seizure AS
  SELECT s.position, e.record_id, e.node, e.body
  FROM ledger.sealed s JOIN ledger.entry e USING (record_id, version)
  WHERE NOT e.personal AND e.provenance IS NULL AND e.name LIKE 'seizure.%';

CREATE OR REPLACE FUNCTION exchange.refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'a decision once taken is never changed' USING ERRCODE = 'restrict_violation'; END $$;
CREATE OR REPLACE FUNCTION exchange.refuse_change_of_ended() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'what was put aside of a feed is never changed' USING ERRCODE = 'restrict_violation'; END $$;
CREATE OR REPLACE TRIGGER decision_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange.decision
  FOR EACH STATEMENT EXECUTE FUNCTION exchange.refuse_change();
DO $$
DECLARE ended text;
BEGIN
  FOREACH ended IN ARRAY ARRAY['feed_before', 'feed_out_before', 'receipt_before', 'inbox_feed_before', 'inbox_before',
    'inbox_checkpoint_before']
  LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER ended_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON exchange.%I '
      'FOR EACH STATEMENT EXECUTE FUNCTION exchange.refuse_change_of_ended()', ended);
  END LOOP;
END $$;
"""


EDITION = f"ncen {sha256(STATEMENTS.encode()).hexdigest()}"
"""By which statements the tables were made, as a comment on the schema: they are not said again to tables in use, since
`ALTER TABLE` waits for all who read them, and they for it, also where it finds nothing to change."""
_MADE_BY = "SELECT obj_description(to_regnamespace('exchange'), 'pg_namespace')"


def prepare(database_url: str, *, node: str, role: str = "nation") -> None:
    """Make the tables that are missing (the ledger's too) and remember who we are; to be repeated at will.

    Raises:
        Unsafe: as the ledger says.
        ValueError: the database belongs to another node, or to the same node in another role.
    """
    ledger_schema.prepare(database_url, node=node)
    with connect(database_url) as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        erasure.prepare(connection)
        if connection.execute(_MADE_BY).fetchone() != (EDITION,):
            connection.execute(STATEMENTS)
            connection.execute(f"COMMENT ON SCHEMA exchange IS '{EDITION}'".encode())
        connection.execute(
            "INSERT INTO exchange.own (node, role) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [node, role],
        )
        row = connection.execute("SELECT node, role FROM exchange.own").fetchone()
    if row != (node, role):
        raise ValueError(f"This database belongs to the exchange of another node or role than {node} ({role}).")
