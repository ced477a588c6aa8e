SELECT name, setting, coalesce(unit, ''), source, coalesce(sourcefile, ''), context, pending_restart
  FROM pg_settings
 WHERE name = ANY (%s)
