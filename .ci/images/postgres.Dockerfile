# What the official image promises, for the PostgreSQL that lies in root/.
ARG FROM
FROM $FROM
ARG MAJOR
ARG VERSION
ARG DATA=/var/lib/postgresql/data
ARG MOUNT=$DATA
ENV PG_MAJOR=$MAJOR PG_VERSION=$VERSION PGDATA=$DATA LANG=en_US.utf8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/$MAJOR/bin
COPY root/ /
# The clients of 18 look for a socket in /tmp, those of Debian in /var/run/postgresql.
RUN sed -ri "s!^#?listen_addresses = .*!listen_addresses = '*'!; \
        s!^#?unix_socket_directories = .*!unix_socket_directories = '/var/run/postgresql, /tmp'!" \
        $(find /usr/share/postgresql /usr/lib/postgresql/$MAJOR/ -name postgresql.conf.sample) && \
    install --directory --owner=postgres --group=postgres --mode=1777 "$PGDATA"
VOLUME $MOUNT
EXPOSE 5432
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
