-- The same of the whole server, with the database where the statement belongs.
SELECT 'prepared' AS kind, gid AS name, database AS place,
       format('ROLLBACK PREPARED %L;', gid) AS statement
  FROM pg_prepared_xacts
 UNION ALL
SELECT 'slot', slot_name, coalesce(database, ''),
       format('SELECT pg_drop_replication_slot(%L);', slot_name)
  FROM pg_replication_slots
 ORDER BY 1, 2
