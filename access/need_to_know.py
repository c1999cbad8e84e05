"""Need-to-know: THE predicate by which everything personal is seen or not, in one place, as PostgreSQL asks it.

It answers with a level: 0, nothing is there; 1, open facts only; 2, all of it. Who recorded a record sees it; a case is
seen by those it was assigned to and by its own office; a person or business by those who see a case it has a part in.
A restricted subject, and a record under a tighter handling code than the role's, are as if they were not there. Only a
broken glass opens what the predicate denies, and that is logged and reviewed.
"""

PREDICATE = """
-- These functions are called by those of the gate alone, and have their fixed search path: setting it again for each
-- of thousands of names would cost more than the question.
CREATE SCHEMA IF NOT EXISTS gate;
REVOKE ALL ON SCHEMA gate FROM PUBLIC;

DO $$ BEGIN
    CREATE TYPE gate.eyes AS (
        user_id text, office text, cases uuid[], scope text, sees_restricted boolean, handling text, breaks boolean,
        role text, masked boolean, others text[]
    );
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

-- Who made the first entry of a record, as its attribution says: a MessagePack array whose first part is the actor.
CREATE OR REPLACE FUNCTION gate.author(record uuid) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN get_byte(attribution, 18) BETWEEN 160 AND 191
            THEN convert_from(substring(attribution FROM 20 FOR get_byte(attribution, 18) - 160), 'UTF8')
        WHEN get_byte(attribution, 18) = 217
            THEN convert_from(substring(attribution FROM 21 FOR get_byte(attribution, 19)), 'UTF8')
    END
    FROM ledger.entry WHERE record_id = record AND version = 1 AND length(attribution) > 20 AND provenance IS NULL
$$;

CREATE OR REPLACE FUNCTION gate.is_restricted(record uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT name IN ('person.restricted', 'business.restricted') FROM ledger.entry
        WHERE record_id = record AND name IN ('person.restricted', 'business.restricted',
            'person.restriction-lifted', 'business.restriction-lifted')
        ORDER BY version DESC LIMIT 1), false)
$$;

-- Whether a subject's keys in a record are those of somebody who is restricted: keys of one subject share a tag, which
-- tells nobody who it is, and lie in the subject's own record too.
CREATE OR REPLACE FUNCTION gate.is_shielded(tag bytea, record uuid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT tag IS NOT NULL AND EXISTS (
        SELECT FROM ledger.subject_key k
        WHERE k.subject_tag = tag AND k.record_id <> record AND gate.is_restricted(k.record_id))
$$;

-- The projections that the predicate asks, and whether all of them hold what they owe: after a crash they are empty.
CREATE OR REPLACE FUNCTION gate.asked_by_predicate() RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY['seizures', 'offences', 'persons', 'businesses', 'parties'] $$;

CREATE OR REPLACE FUNCTION gate.is_built() RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN 5 = (SELECT count(*) FROM read.position
                WHERE NOT is_fresh AND name = ANY (gate.asked_by_predicate()) AND position >= owed);
END $$;

CREATE OR REPLACE FUNCTION gate.level_of_case(eyes gate.eyes, record uuid) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    case_office text;
    code text;
    is_known boolean := false;
BEGIN
    IF eyes.breaks THEN RETURN 2; END IF;
    SELECT office, handling, true INTO case_office, code, is_known FROM read.seizure
        WHERE record_id = record AND until_position IS NULL;
    IF is_known IS NOT TRUE THEN
        SELECT office, handling, true INTO case_office, code, is_known FROM read.offence
            WHERE record_id = record AND until_position IS NULL;
    END IF;
    IF is_known IS NOT TRUE AND EXISTS (SELECT FROM ledger.entry WHERE record_id = record AND provenance IS NOT NULL)
        THEN RETURN 0; END IF;  -- came from a peer, and under which code is not told yet
    IF code > eyes.handling THEN RETURN 0; END IF;
    IF eyes.scope = 'national' THEN RETURN 2; END IF;
    IF eyes.scope = 'none' THEN RETURN 1; END IF;
    IF eyes.scope IN ('cases', 'office') AND record = ANY (eyes.cases) THEN RETURN 2; END IF;
    IF eyes.scope = 'office' AND case_office = eyes.office THEN RETURN 2; END IF;
    IF gate.author(record) = eyes.user_id THEN RETURN 2; END IF;
    RETURN 1;
END $$;

CREATE OR REPLACE FUNCTION gate.level_of_subject(eyes gate.eyes, kind text, record uuid) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    code text;
BEGIN
    IF eyes.breaks THEN RETURN 2; END IF;
    IF eyes.scope = 'none' THEN RETURN 0; END IF;
    IF eyes.scope <> 'national' AND gate.author(record) IS DISTINCT FROM eyes.user_id
        AND NOT EXISTS (SELECT FROM read.party AS part WHERE part.party = record) THEN RETURN 0; END IF;
    IF NOT eyes.sees_restricted AND gate.is_restricted(record) THEN RETURN 0; END IF;
    IF kind = 'person' THEN SELECT handling INTO code FROM read.person WHERE record_id = record;
    ELSE SELECT handling INTO code FROM read.business WHERE record_id = record; END IF;
    IF code > eyes.handling THEN RETURN 0; END IF;
    IF eyes.scope = 'national' THEN RETURN 2; END IF;
    IF gate.author(record) = eyes.user_id THEN RETURN 2; END IF;
    IF EXISTS (SELECT FROM read.party AS part WHERE part.party = record
               AND gate.level_of_case(eyes, part.record_id) = 2) THEN RETURN 2; END IF;
    RETURN 0;
END $$;

CREATE OR REPLACE FUNCTION gate.level(eyes gate.eyes, record uuid) RETURNS integer
LANGUAGE plpgsql STABLE AS $$
DECLARE
    kind text;
    reached integer;
BEGIN
    SELECT split_part(name, '.', 1) INTO kind FROM ledger.entry WHERE record_id = record ORDER BY version LIMIT 1;
    reached := CASE
        WHEN kind IN ('seizure', 'offence') THEN gate.level_of_case(eyes, record)
        WHEN kind IN ('person', 'business') THEN gate.level_of_subject(eyes, kind, record)
        WHEN kind IS NULL THEN 0
        ELSE 2 END;
    IF kind IN ('seizure', 'offence', 'person', 'business') AND NOT gate.is_built() AND NOT eyes.breaks
        AND (reached < 2 OR EXISTS (SELECT FROM ledger.entry WHERE record_id = record AND provenance IS NOT NULL))
    THEN RAISE EXCEPTION 'the tables are being built' USING ERRCODE = 'NC503'; END IF;
    RETURN reached;
END $$;
"""
