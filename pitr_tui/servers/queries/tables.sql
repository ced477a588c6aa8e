-- Sizes come from the files: pg_total_relation_size() would wait for tables that are locked.
SELECT schema, name, unlogged, greatest(pages * current_setting('block_size')::int, bytes)
  FROM (SELECT n.nspname AS schema, c.relname AS name, c.relpersistence = 'u' AS unlogged,
               c.relpages::bigint AS pages,
               coalesce((pg_stat_file(pg_relation_filepath(c.oid), true)).size, 0) AS bytes
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'm')
           AND n.nspname NOT IN ('pg_catalog', 'information_schema')
           AND n.nspname !~ '^pg_(toast|temp)') AS found
 ORDER BY 4 DESC, 1, 2
