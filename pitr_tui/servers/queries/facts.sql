SELECT current_setting('server_version_num')::int,
       (SELECT system_identifier FROM pg_control_system()),
       pg_is_in_recovery(),
       clock_timestamp(),
       current_setting('TimeZone'),
       (SELECT setting::bigint * CASE unit WHEN '8kB' THEN 8192 ELSE 1 END
          FROM pg_settings WHERE name = 'wal_segment_size'),
       (SELECT setting FROM pg_settings WHERE name = 'data_directory'),
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       (SELECT timeline_id FROM pg_control_checkpoint()),
       (SELECT coalesce(array_agg(oid || ' ' || pg_tablespace_location(oid)), '{}')
          FROM pg_tablespace WHERE pg_tablespace_location(oid) ~ '^/'),
       (SELECT sum(pg_database_size(oid))::bigint FROM pg_database
         WHERE has_database_privilege(oid, 'CONNECT'))
