"""PostgreSQL in containers: which engine, which containers, and what we leave in it."""
