-- Collations whose order the library here may have changed since their indexes were built.
SELECT count(*), (array_agg(name ORDER BY name))[1:5]
  FROM (SELECT quote_ident(collname) || ' (' || collversion || ', here '
                   || coalesce(pg_collation_actual_version(oid), 'none') || ')' AS name
          FROM pg_collation
         WHERE collversion IS NOT NULL
           AND collversion IS DISTINCT FROM pg_collation_actual_version(oid)) AS stale
