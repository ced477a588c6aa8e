SELECT name, setting, coalesce(unit, ''), source, coalesce(sourcefile, ''), context,
       pending_restart, coalesce(sourceline, 0)
  FROM pg_settings
 WHERE name = ANY (%s)
