#!/usr/bin/env bash
# Make a cluster in an empty PGDATA, then become the server. The variables and the directory
# /docker-entrypoint-initdb.d mean what they mean in the official image.
set -eo pipefail

fail() {
    echo >&2 "Error: $*"
    exit 1
}

# A variable's value may lie in a file, as a secret does: NAME_FILE names it.
read_variable() {  # NAME DEFAULT
    local name=$1 file_name=${1}_FILE
    if [[ -n ${!name} && -n ${!file_name} ]]; then
        fail "both $name and $file_name are set (but are exclusive)"
    fi
    if [[ -n ${!file_name} ]]; then
        export "$name"="$(<"${!file_name}")"
        unset "$file_name"
    else
        export "$name"="${!name:-$2}"
    fi
}

prepare_directories() {
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA" || true  # not every user and file system may
    if [[ $(id -u) == 0 ]]; then
        find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
    fi
}

# Since 18 the volume is one level up, and a volume at the old place would stay unused.
refuse_old_mount() {
    if ((PG_MAJOR >= 18)) && grep -q ' /var/lib/postgresql/data ' /proc/self/mountinfo; then
        fail "in 18+, the data lies in $PGDATA; mount the volume at /var/lib/postgresql," \
            "not at /var/lib/postgresql/data (unused mount/volume)"
    fi
}

require_password() {
    if [[ -z $POSTGRES_PASSWORD && $POSTGRES_HOST_AUTH_METHOD != trust ]]; then
        fail "Database is uninitialized and superuser password is not specified." \
            "Set POSTGRES_PASSWORD to a non-empty value, or POSTGRES_HOST_AUTH_METHOD=trust."
    fi
}

make_cluster() {
    if [[ -n $POSTGRES_INITDB_WALDIR ]]; then
        set -- --waldir="$POSTGRES_INITDB_WALDIR"
    fi
    # The official image evaluates its arguments too, so that they may hold quoted spaces.
    eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' \
        "$POSTGRES_INITDB_ARGS" '"$@"'
    local method=$POSTGRES_HOST_AUTH_METHOD
    if [[ -z $method ]]; then
        method=$(postgres -C password_encryption)
        [[ $method == scram-sha-256 ]] || method=md5
    fi
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

run_sql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc \
        --username "$POSTGRES_USER" --no-password "$@"
}

# The server that prepares the cluster has the arguments of the one to come, but it listens on
# its socket only, so that nobody else sees it.
fill_cluster() {  # ARGUMENT...
    local file
    export PGPASSWORD=$POSTGRES_PASSWORD
    set -- "$@" -c listen_addresses= -p "${PGPORT:-5432}"
    pg_ctl -D "$PGDATA" -o "$(printf '%q ' "$@")" -w start
    if [[ $POSTGRES_DB != postgres ]]; then
        run_sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh)
                # shellcheck disable=SC1090
                if [[ -x $file ]]; then "$file"; else . "$file"; fi
                ;;
            *.sql) run_sql --dbname "$POSTGRES_DB" -f "$file" ;;
            *.sql.gz) gunzip -c "$file" | run_sql --dbname "$POSTGRES_DB" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop
    unset PGPASSWORD
}

if [[ ${1:0:1} == - ]]; then
    set -- postgres "$@"
fi
if [[ $1 == postgres && " $* " != *' --help '* && " $* " != *' --version '* ]]; then
    prepare_directories
    if [[ $(id -u) == 0 ]]; then
        exec gosu postgres "${BASH_SOURCE[0]}" "$@"
    fi
    if [[ -s $PGDATA/PG_VERSION ]]; then
        printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
    else
        read_variable POSTGRES_PASSWORD ''
        read_variable POSTGRES_USER postgres
        read_variable POSTGRES_DB "$POSTGRES_USER"
        read_variable POSTGRES_INITDB_ARGS ''
        refuse_old_mount
        require_password
        make_cluster
        fill_cluster "${@:2}"
        printf '\nPostgreSQL init process complete; ready for start up.\n\n'
    fi
fi
exec "$@"
