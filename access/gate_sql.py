"""The gate in PostgreSQL: functions that open personal data for a ticket that is committed, and refuse without one.

`ask` commits a ticket in the processing log; everything that opens refuses unless that ticket's transaction is
committed and not its own, it is of the same user with the same words, and younger than ten seconds. The functions run
with their owner's rights and a fixed search path; whoever may only call them can read nothing past them.
"""

# ruff: noqa: E501  # statements read best unbroken

TICKET_SECONDS = 10

FUNCTIONS = """
-- Who it is that this secret belongs to: a session or a token that still holds, of a user who has roles.
CREATE OR REPLACE FUNCTION gate.caller(secret text, OUT user_id text, OUT roles text[], OUT office text,
                                       OUT cases uuid[], OUT verbs text[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sought bytea := sha256(convert_to(secret, 'UTF8'));
BEGIN
    SELECT a.user_id, a.roles, a.office, a.cases, NULL INTO user_id, roles, office, cases, verbs
        FROM access.session s JOIN access.account a USING (user_id)
        WHERE s.secret_hash = sought AND s.until > clock_timestamp()
            AND s.used_at > clock_timestamp() - interval '1 hour';
    IF user_id IS NULL THEN
        SELECT a.user_id, ARRAY(SELECT unnest(a.roles) INTERSECT SELECT t.role), a.office, a.cases, t.verbs
            INTO user_id, roles, office, cases, verbs
            FROM access.token t JOIN access.account a USING (user_id)
            WHERE t.secret_hash = sought AND t.until > clock_timestamp();
    END IF;
    IF user_id IS NULL OR cardinality(roles) = 0 THEN
        RAISE EXCEPTION 'nobody is signed in with this secret' USING ERRCODE = 'NC401';
    END IF;
END $$;

-- As whom the caller looks in a role, for a verb. Whoever is masked may have other roles in which they see in the clear.
CREATE OR REPLACE FUNCTION gate.eyes_of(secret text, acting_role text, verb text, breaks boolean, unmasks boolean)
RETURNS gate.eyes
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who record;
    told access.sight;
    others text[] := '{}';
BEGIN
    SELECT * INTO who FROM gate.caller(secret);
    IF acting_role <> ALL (who.roles) THEN
        RAISE EXCEPTION 'the caller does not hold this role' USING ERRCODE = 'NC403';
    END IF;
    SELECT * INTO told FROM access.sight WHERE role = acting_role;
    IF told.masked AND NOT breaks AND NOT unmasks THEN
        others := ARRAY(SELECT s.role FROM access.sight s JOIN access.permission p ON p.role = s.role AND p.verb = eyes_of.verb
            WHERE s.role = ANY (who.roles) AND NOT s.masked);
    END IF;
    RETURN (who.user_id, who.office, who.cases, told.scope, told.sees_restricted, told.handling, breaks, acting_role,
        told.masked AND NOT breaks AND NOT unmasks, others);
END $$;

-- Commits nothing by itself: the caller's COMMIT makes the ticket count.
CREATE OR REPLACE FUNCTION gate.ask(secret text, verb text, role text, purpose text, legal_basis text,
        justification text, reference text, records uuid[], args text, breaks boolean, unmasks boolean,
        OUT ticket uuid, OUT nonce uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who record;
    told processing.log;
BEGIN
    SELECT * INTO who FROM gate.caller(secret);
    IF role IS NULL OR role <> ALL (who.roles)
            OR NOT EXISTS (SELECT FROM access.permission p WHERE p.role = ask.role AND p.verb = ask.verb)
            OR (breaks AND NOT EXISTS (SELECT FROM access.permission p WHERE p.role = ask.role AND p.verb = 'break-glass'))
            OR (unmasks AND NOT EXISTS (SELECT FROM access.permission p WHERE p.role = ask.role AND p.verb = 'unmask'))
            OR (who.verbs IS NOT NULL AND (breaks OR unmasks OR verb <> ALL (who.verbs))) THEN
        RAISE EXCEPTION 'this role may not do this' USING ERRCODE = 'NC403';
    END IF;
    IF purpose IS NULL OR legal_basis IS NULL OR ((breaks OR unmasks) AND justification IS NULL) THEN
        RAISE EXCEPTION 'purpose, legal basis and, to break the glass or unmask, a justification are needed' USING ERRCODE = 'NC400';
    END IF;
    ticket := gen_random_uuid();
    nonce := gen_random_uuid();
    told.operation := 'consultation';
    told.user_id := who.user_id;
    told.role := role;
    told.purpose := purpose;
    told.legal_basis := legal_basis;
    told.verb := verb;
    told.justification := justification;
    told.reference := reference;
    told.is_break_glass := breaks;
    told.is_unmasking := unmasks;
    told.ticket := ticket;
    told.records := records;
    told.digest := sha256(convert_to(nonce::text || args, 'UTF8'));
    PERFORM processing.append(told);
END $$;

-- What a ticket lets its holder see: refuses unless it is committed, another transaction's, theirs, fresh, and for these words.
CREATE OR REPLACE FUNCTION gate.through(secret text, ticket uuid, nonce uuid, args text) RETURNS gate.eyes
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked processing.log;
    who record;
BEGIN
    SELECT * INTO who FROM gate.caller(secret);
    SELECT * INTO asked FROM processing.log l
        WHERE l.ticket = through.ticket AND l.answers IS NULL AND l.at > clock_timestamp() - interval '1 minute';
    IF asked.ticket IS NULL OR asked.user_id IS DISTINCT FROM who.user_id
            OR asked.xid IS NOT DISTINCT FROM pg_current_xact_id_if_assigned()
            OR pg_xact_status(asked.xid) IS DISTINCT FROM 'committed'
            OR asked.digest IS DISTINCT FROM sha256(convert_to(nonce::text || args, 'UTF8'))
            OR clock_timestamp() - asked.at > interval '10 seconds' THEN
        RAISE EXCEPTION 'there is no ticket that opens this' USING ERRCODE = 'NC409';
    END IF;
    RETURN gate.eyes_of(secret, asked.role, asked.verb, asked.is_break_glass, asked.is_unmasking);
END $$;

-- The entries of a record with the keys that open them; open entries only, where the predicate stops there, and
-- nothing that is sealed for somebody who is restricted to this caller. Of a record that is masked to the caller, what is
-- said of its subject stays here, key and all: the kind of it is told alone. Links leave sealed, to be read as pseudonyms.
CREATE OR REPLACE FUNCTION gate.open(secret text, ticket uuid, nonce uuid, args text, record uuid)
RETURNS TABLE ("position" bigint, record_id uuid, version integer, recorded_at timestamptz, node text, name text,
    body bytea, attribution bytea, key_id uuid, personal boolean, provenance bytea,
    key_record uuid, subject_tag bytea, key_version integer, epoch integer, wrapped bytea, masked boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
    reached integer;
    masks boolean := false;
    links text[] := gate.links();
BEGIN
    IF NOT EXISTS (SELECT FROM processing.log l WHERE l.ticket = open.ticket AND record = ANY (l.records)) THEN
        RAISE EXCEPTION 'the ticket does not name this record' USING ERRCODE = 'NC409';
    END IF;
    reached := gate.level(eyes, record);
    IF reached = 0 THEN RETURN; END IF;
    IF eyes.masked THEN masks := gate.is_masked(eyes, record); END IF;
    RETURN QUERY
        SELECT s.position, e.record_id, e.version, e.recorded_at, e.node, e.name,
               CASE WHEN masks AND e.personal AND e.name <> ALL (links) THEN NULL ELSE e.body END, e.attribution, e.key_id,
               e.personal, e.provenance, k.record_id, k.subject_tag, k.version, k.epoch,
               CASE WHEN masks AND e.personal AND e.name <> ALL (links) THEN NULL ELSE k.wrapped END, masks
        FROM ledger.entry e
        LEFT JOIN ledger.sealed s ON s.record_id = e.record_id AND s.version = e.version
        LEFT JOIN ledger.subject_key k ON k.key_id = e.key_id
        WHERE e.record_id = record AND (reached = 2 OR NOT e.personal)
          AND (eyes.sees_restricted OR eyes.breaks OR NOT gate.is_shielded(k.subject_tag, record))
        ORDER BY e.version;
END $$;

-- Which of these records are restricted to this caller: what tells of them is left out of others' records too.
CREATE OR REPLACE FUNCTION gate.shielded(secret text, ticket uuid, nonce uuid, args text, asked uuid[]) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    IF eyes.sees_restricted OR eyes.breaks THEN RETURN; END IF;
    RETURN QUERY SELECT one FROM unnest(asked) AS one WHERE gate.is_restricted(one);
END $$;

-- How far the caller sees a record: asked before it is changed. It opens nothing.
CREATE OR REPLACE FUNCTION gate.level_for(secret text, role text, record uuid) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN gate.level(gate.eyes_of(secret, role, NULL, false, false), record);
END $$;

-- Which ids a search showed: committed before they are shown.
CREATE OR REPLACE FUNCTION gate.shown(secret text, ticket uuid, records uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who record;
    told processing.log;
BEGIN
    SELECT * INTO who FROM gate.caller(secret);
    SELECT * INTO told FROM processing.log l WHERE l.ticket = shown.ticket AND l.user_id = who.user_id AND l.answers IS NULL;
    IF told.ticket IS NULL THEN
        RAISE EXCEPTION 'there is no such ticket' USING ERRCODE = 'NC409';
    END IF;
    told.answers := told.ticket;
    told.ticket := gen_random_uuid();
    told.records := records;
    told.digest := NULL;
    PERFORM processing.append(told);
END $$;

-- Holds the tables of a question still, and tells how far they have come.
CREATE OR REPLACE FUNCTION gate.hold(tables text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one text;
BEGIN
    FOREACH one IN ARRAY tables LOOP
        EXECUTE format('LOCK TABLE read.%I IN ACCESS SHARE MODE', one);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION gate.reached(names text[], OUT "position" bigint, OUT many bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT min(p.position), CASE WHEN gate.is_built() THEN count(*) ELSE 0 END INTO "position", many
        FROM read.position p WHERE NOT is_fresh AND name = ANY (names) AND p.position >= owed;
END $$;

-- How far the tables that the predicate asks have been built, and how far the ledger is sealed.
CREATE OR REPLACE FUNCTION gate.building(OUT "position" bigint, OUT head bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT min(greatest(0, coalesce((SELECT max(p.position) FROM read.position p WHERE name = wanted), 0))),
        (SELECT coalesce(max(s.position), 0) FROM ledger.sealed s) INTO "position", head
        FROM unnest(gate.asked_by_predicate()) AS wanted;
END $$;

CREATE OR REPLACE FUNCTION gate.sharing(secret text, ticket uuid, nonce uuid, args text, kind text, ways jsonb,
        every text[], most_sharing integer, most integer) RETURNS TABLE (record_id uuid, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
    condition text;
BEGIN
    IF eyes.masked THEN PERFORM gate.refuse_masked(); END IF;
    SELECT string_agg('(' || way.told || ')', ' OR ') INTO condition FROM (
        SELECT (SELECT string_agg(format('keys && %L::text[]', ARRAY(SELECT jsonb_array_elements_text(keys))), ' AND ')
                FROM jsonb_array_elements(way) AS keys) AS told
        FROM jsonb_array_elements(ways) AS way) AS way;
    RETURN QUERY EXECUTE format(
        'SELECT record_id, name FROM (SELECT record_id, name, keys FROM read.%I WHERE (%s)'
        ' AND gate.level_of_subject($1, $2, record_id) = 2 LIMIT $3) AS sharing'
        ' ORDER BY cardinality(ARRAY(SELECT unnest(keys) INTERSECT SELECT unnest($4))) DESC, record_id, name LIMIT $5',
        CASE kind WHEN 'person' THEN 'person_name' ELSE 'business_name' END, condition)
        USING eyes, kind, most_sharing, every, most;
END $$;

CREATE OR REPLACE FUNCTION gate.by_number(secret text, ticket uuid, nonce uuid, args text, kind text, number text)
RETURNS TABLE (record_id uuid, name text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    IF eyes.masked THEN PERFORM gate.refuse_masked(); END IF;
    RETURN QUERY EXECUTE format(
        'SELECT record_id, coalesce(name, '''') FROM read.%I WHERE numbers @> ARRAY[$3]'
        ' AND gate.level_of_subject($1, $2, record_id) = 2 LIMIT 100',
        CASE kind WHEN 'person' THEN 'person' ELSE 'business' END) USING eyes, kind, number;
END $$;

CREATE OR REPLACE FUNCTION gate.described(secret text, ticket uuid, nonce uuid, args text, kind text, ids uuid[])
RETURNS SETOF jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT CASE WHEN ($1).masked AND gate.is_masked($1, record_id) THEN gate.as_masked(to_jsonb(one))'
        ' ELSE to_jsonb(one) END FROM read.%I AS one WHERE record_id = ANY ($3)'
        ' AND gate.level_of_subject($1, $2, record_id) = 2',
        CASE kind WHEN 'person' THEN 'person' ELSE 'business' END) USING eyes, kind, ids;
END $$;

-- Pairs of a record and one it was merged with, both of which the caller sees.
CREATE OR REPLACE FUNCTION gate.merged(secret text, ticket uuid, nonce uuid, args text, kind text, ids uuid[])
RETURNS TABLE (record_id uuid, merged uuid[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT record_id, ARRAY(SELECT other FROM unnest(merged) AS other WHERE gate.level_of_subject($1, $2, other) = 2)'
        ' FROM read.%I WHERE (record_id = ANY ($3) OR merged && $3) AND merged <> ''{}'''
        ' AND gate.level_of_subject($1, $2, record_id) = 2',
        CASE kind WHEN 'person' THEN 'person' ELSE 'business' END) USING eyes, kind, ids;
END $$;

CREATE OR REPLACE FUNCTION gate.newest(secret text, ticket uuid, nonce uuid, args text, kind text, most integer, following uuid)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT record_id FROM read.%I WHERE ($3 IS NULL OR record_id < $3)'
        ' AND gate.level_of_subject($1, $2, record_id) = 2 ORDER BY record_id DESC LIMIT $4',
        CASE kind WHEN 'person' THEN 'person' ELSE 'business' END) USING eyes, kind, following, most;
END $$;

-- Cases whose written words fit, as far as the caller sees their words.
CREATE OR REPLACE FUNCTION gate.told(secret text, ticket uuid, nonce uuid, args text, kind text, query text)
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    IF eyes.masked THEN PERFORM gate.refuse_masked(); END IF;
    RETURN QUERY SELECT n.record_id FROM read.narrative n
        WHERE n.kind = told.kind AND n.words @@ query::tsquery AND gate.level_of_case(eyes, n.record_id) = 2;
END $$;

-- Cases that these have a part in, as far as the caller sees both the case and them.
CREATE OR REPLACE FUNCTION gate.cases_of(secret text, ticket uuid, nonce uuid, args text, parties uuid[])
RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    RETURN QUERY SELECT DISTINCT p.record_id FROM read.party p
        WHERE p.party = ANY (parties) AND gate.level_of_case(eyes, p.record_id) = 2
          AND (eyes.sees_restricted OR eyes.breaks OR NOT gate.is_restricted(p.party));
END $$;

-- Persons and businesses whom the caller sees: those of the cases assigned to them, or all. Their pseudonyms are computed
-- outside.
CREATE OR REPLACE FUNCTION gate.subjects(secret text, ticket uuid, nonce uuid, args text, every boolean) RETURNS SETOF uuid
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    eyes gate.eyes := gate.through(secret, ticket, nonce, args);
BEGIN
    IF NOT every THEN
        RETURN QUERY SELECT p.party FROM read.party p WHERE p.record_id = ANY (eyes.cases) AND gate.level(eyes, p.party) = 2;
        RETURN;
    END IF;
    RETURN QUERY SELECT record_id FROM read.person WHERE gate.level_of_subject(eyes, 'person', record_id) = 2;
    RETURN QUERY SELECT record_id FROM read.business WHERE gate.level_of_subject(eyes, 'business', record_id) = 2;
END $$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA gate FROM PUBLIC;
"""

_TICKETED = "text, uuid, uuid, text"
GRANTED = (
    "gate.ask(text, text, text, text, text, text, text, uuid[], text, boolean, boolean)",
    f"gate.open({_TICKETED}, uuid)",
    f"gate.shielded({_TICKETED}, uuid[])",
    "gate.level_for(text, text, uuid)",
    "gate.shown(text, uuid, uuid[])",
    "gate.hold(text[])",
    "gate.reached(text[])",
    "gate.building()",
    f"gate.sharing({_TICKETED}, text, jsonb, text[], integer, integer)",
    f"gate.by_number({_TICKETED}, text, text)",
    f"gate.described({_TICKETED}, text, uuid[])",
    f"gate.merged({_TICKETED}, text, uuid[])",
    f"gate.newest({_TICKETED}, text, integer, uuid)",
    f"gate.told({_TICKETED}, text, text)",
    f"gate.cases_of({_TICKETED}, uuid[])",
    f"gate.subjects({_TICKETED}, boolean)",
)
"""The functions that the reader may call; all others are the gate's own."""
