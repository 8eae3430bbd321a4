from django.db import migrations

# The parts of property filters that SQL has no word for; what they must mean stands in common/matching.py.
FUNCTIONS = r"""
CREATE FUNCTION events_compact(value jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'array' THEN
            RETURN '[' || coalesce((SELECT string_agg(events_compact(member), ',' ORDER BY position)
                FROM jsonb_array_elements(value) WITH ORDINALITY AS members (member, position)), '') || ']';
        WHEN 'object' THEN
            RETURN '{' || coalesce((SELECT string_agg(to_json(key)::text || ':' || events_compact(member), ',')
                FROM jsonb_each(value) AS members (key, member)), '') || '}';
        ELSE RETURN value::text;
    END CASE;
END
$$;

CREATE FUNCTION events_text(value jsonb) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE jsonb_typeof(value)
        WHEN 'string' THEN value #>> '{}'
        WHEN 'array' THEN events_compact(value)
        WHEN 'object' THEN events_compact(value)
        ELSE value::text
    END
$$;

CREATE FUNCTION events_truthy(value jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'boolean' THEN RETURN value = 'true';
        WHEN 'string' THEN RETURN lower(value #>> '{}') = 'true';
        WHEN 'array' THEN
            RETURN coalesce((SELECT bool_and(events_truthy(member)) FROM jsonb_array_elements(value) AS members (member)), true);
        ELSE RETURN false;
    END CASE;
END
$$;

CREATE FUNCTION events_number(value jsonb) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    written text;
    number numeric;
BEGIN
    CASE jsonb_typeof(value)
        WHEN 'number' THEN number := value::numeric;
        WHEN 'string' THEN
            written := value #>> '{}';
            IF length(written) > 400 OR written !~ '^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?$' THEN
                RETURN NULL;
            END IF;
            number := written::numeric;
        ELSE RETURN NULL;
    END CASE;
    IF abs(number) > 1.7976931348623157e308 THEN
        RETURN NULL;
    END IF;
    RETURN CASE WHEN abs(number) < 1e-307 THEN 0 ELSE number::double precision END;
END
$$;

CREATE FUNCTION events_instant(value jsonb, zone text) RETURNS timestamptz LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    written text := value #>> '{}';
    parts text[];
    instant timestamptz;
BEGIN
    IF jsonb_typeof(value) <> 'string' THEN
        RETURN NULL;
    END IF;
    parts := regexp_match(
        written,
        '^(\d{4}-\d{2}-\d{2})(?:[Tt ]((?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?)([Zz]|[+-]\d{2}:?\d{2})?)?$'
    );
    -- Digits beyond microseconds are cut off, not rounded.
    parts[2] := regexp_replace(parts[2], '(\.\d{6})\d+$', '\1');
    IF parts IS NULL THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF parts[3] IS NULL THEN
            instant := (parts[1] || ' ' || coalesce(parts[2], '00:00'))::timestamp AT TIME ZONE zone;
        ELSE
            instant := (parts[1] || ' ' || parts[2] || parts[3])::timestamptz;
        END IF;
    EXCEPTION WHEN data_exception THEN
        RETURN NULL;
    END;
    RETURN instant;
END
$$;

CREATE FUNCTION events_version_part(part text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT '0' || lpad(length(digits)::text, 3, '0') || digits FROM (SELECT ltrim(part, '0') AS digits) AS stripped
$$;

CREATE FUNCTION events_version(written text) RETURNS text[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    parts text[];
    key text[];
BEGIN
    IF length(written) > 200 THEN
        RETURN NULL;
    END IF;
    parts := regexp_match(
        btrim(regexp_replace(btrim(written, E' \t\n\r\f\v'), '^v', ''), E' \t\n\r\f\v'),
        '^(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:\.\d+)*(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]*)?$'
    );
    IF parts IS NULL THEN
        RETURN NULL;
    END IF;
    key := ARRAY[
        events_version_part(parts[1]),
        events_version_part(coalesce(parts[2], '')),
        events_version_part(coalesce(parts[3], ''))
    ];
    IF parts[4] IS NULL THEN
        RETURN key || '1'::text;
    END IF;
    RETURN (key || '0'::text) || (
        SELECT array_agg(CASE WHEN part ~ '^\d+$' THEN events_version_part(part) ELSE '1' || part END ORDER BY position)
        FROM unnest(string_to_array(parts[4], '.')) WITH ORDINALITY AS split (part, position)
    );
END
$$;
"""

DROP = """
DROP FUNCTION events_version(text);
DROP FUNCTION events_version_part(text);
DROP FUNCTION events_instant(jsonb, text);
DROP FUNCTION events_number(jsonb);
DROP FUNCTION events_truthy(jsonb);
DROP FUNCTION events_text(jsonb);
DROP FUNCTION events_compact(jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0005_distinct_ids_in_order_of_joining")]

    operations = [migrations.RunSQL(FUNCTIONS, reverse_sql=DROP)]
