-- What a recovery leaves in one database that a person should know: how many of each kind,
-- with the first names. Nothing here waits for a table that is locked.
WITH named AS (
    SELECT c.oid, c.relkind, c.relpersistence, c.relam,
           CASE n.nspname WHEN 'public' THEN '' ELSE quote_ident(n.nspname) || '.' END
               || quote_ident(c.relname) AS name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
       AND n.nspname !~ '^pg_(toast|temp)'
), found (kind, name) AS (
    SELECT 'unlogged', name FROM named WHERE relpersistence = 'u' AND relkind = 'r'
     UNION ALL
    SELECT 'sequence', name FROM named WHERE relkind = 'S'
     UNION ALL
    SELECT 'invalid index', name FROM named JOIN pg_index ON indexrelid = oid
     WHERE NOT indisvalid AND relkind = 'i'
     UNION ALL
    SELECT 'hash index', named.name FROM named JOIN pg_am ON pg_am.oid = relam
     WHERE amname = 'hash' AND relkind = 'i'
     UNION ALL
    SELECT 'foreign server', quote_ident(srvname) FROM pg_foreign_server
     UNION ALL
    SELECT 'event trigger', quote_ident(evtname) FROM pg_event_trigger WHERE evtenabled <> 'D'
     UNION ALL
    SELECT 'cron', quote_ident(extname) FROM pg_extension WHERE extname = 'pg_cron'
     UNION ALL
    SELECT 'not analyzed', name FROM named
      JOIN pg_stat_user_tables ON relid = oid
     WHERE relpersistence = 'p' AND last_analyze IS NULL AND last_autoanalyze IS NULL
)
SELECT kind, count(*), (array_agg(name ORDER BY name))[1:5] FROM found GROUP BY kind
