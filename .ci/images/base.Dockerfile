# The Debian root with PostgreSQL 18 in /opt, whose clients the other majors use.
ARG FROM
FROM $FROM
COPY root/ /
