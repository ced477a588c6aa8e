-- What somebody has to do in one database after its server was promoted: the kind of each
-- thing, its name, and the statement that settles it.
SELECT 'unlogged' AS kind, format('%I.%I', nspname, relname) AS name, '' AS statement
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relpersistence = 'u' AND relkind = 'r'
 UNION ALL
SELECT 'sequence', format('%I.%I', nspname, relname),
       (SELECT format('SELECT setval(%L, (SELECT max(%I) FROM %s));',
                      c.oid::regclass, attname, refobjid::regclass)
          FROM pg_depend JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
         WHERE classid = 'pg_class'::regclass AND objid = c.oid
           AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i'))
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind = 'S' AND relpersistence <> 't'
 UNION ALL
SELECT 'hash index', format('%I.%I', nspname, relname),
       format('REINDEX INDEX %I.%I;', nspname, relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_am a ON a.oid = relam
 WHERE amname = 'hash' AND relkind = 'i'
 UNION ALL
SELECT 'foreign server', format('%I', srvname),
       format('ALTER SERVER %I OPTIONS (SET host ...);', srvname)
  FROM pg_foreign_server
 UNION ALL
SELECT 'cron', format('%I.job', nspname), format('UPDATE %I.job SET active = false;', nspname)
  FROM pg_extension e JOIN pg_namespace n ON n.oid = (
       SELECT relnamespace FROM pg_class JOIN pg_depend d ON d.objid = pg_class.oid
        WHERE d.refobjid = e.oid AND d.deptype = 'e' AND relname = 'job' AND relkind = 'r')
 WHERE extname = 'pg_cron'
 ORDER BY 1, 2
