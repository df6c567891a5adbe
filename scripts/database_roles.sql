-- Two roles for the platform's database: one owns the tables, one uses them. Also moves a database over in which one
-- role did both. A superuser runs it, connected to the platform's database; it may be repeated.
--
--   PGOPTIONS="-c nautilus.owner_password=... -c nautilus.application_password=..." \
--       psql -X -v ON_ERROR_STOP=1 -f scripts/database_roles.sql "host=... user=postgres dbname=nautilus"
--
-- nautilus.owner and nautilus.application name other roles than nautilus_owner and nautilus. What the application may
-- do to each table is granted by `manage.py migrate`.

DO $$
DECLARE
    owner constant text := coalesce(nullif(current_setting('nautilus.owner', true), ''), 'nautilus_owner');
    application constant text := coalesce(nullif(current_setting('nautilus.application', true), ''), 'nautilus');
    statement text;
BEGIN
    -- CREATEDB: a restore fills a new database and swaps it with the present one.
    FOR statement IN
        SELECT format(
            '%s ROLE %I LOGIN %s NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD %L',
            CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN 'ALTER' ELSE 'CREATE' END,
            name, attribute, current_setting(password))
          FROM (VALUES (owner, 'CREATEDB', 'nautilus.owner_password'),
                       (application, 'NOCREATEDB', 'nautilus.application_password')) AS role(name, attribute, password)
    LOOP
        EXECUTE statement;
    END LOOP;

    -- Sequences of a column and indexes follow their table; what an extension brought is the extension's.
    FOR statement IN
        SELECT format('ALTER DATABASE %I OWNER TO %I', datname, owner)
          FROM pg_database WHERE datname = current_database() AND datdba <> quote_ident(owner)::regrole
        UNION ALL
        SELECT format('ALTER %s %s OWNER TO %I',
                      CASE relkind WHEN 'S' THEN 'SEQUENCE' WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                                   ELSE 'TABLE' END,
                      c.oid::regclass, owner)
          FROM pg_class c
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
           AND relowner <> quote_ident(owner)::regrole
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                              AND (d.deptype = 'e' OR relkind = 'S' AND d.deptype IN ('a', 'i')))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, owner)
          FROM pg_proc p
         WHERE pronamespace = 'public'::regnamespace AND proowner <> quote_ident(owner)::regrole
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT format('ALTER TYPE %s OWNER TO %I', t.oid::regtype, owner)
          FROM pg_type t
         WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
           AND typowner <> quote_ident(owner)::regrole
           AND NOT EXISTS (SELECT FROM pg_depend d
                            WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
