SELECT count(*), (array_agg(name ORDER BY name))[1:5]
  FROM (SELECT quote_ident(datname) || ' (' || datcollversion || ', here '
                   || coalesce(pg_database_collation_actual_version(oid), 'none') || ')' AS name
          FROM pg_database
         WHERE datallowconn AND datcollversion IS NOT NULL
           AND datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)) AS stale
