# An image that has nothing to do with PostgreSQL.
FROM scratch
COPY root/ /
CMD ["/bin/busybox", "sleep", "86400"]
