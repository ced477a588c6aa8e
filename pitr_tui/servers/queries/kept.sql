SELECT count(*) FROM pg_ls_dir(%s) AS name WHERE name ~ '^[0-9A-F]{24}[.]ready$'
