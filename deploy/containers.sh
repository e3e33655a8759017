#!/usr/bin/env bash
# What `make` does where the pipeline runs in containers. What `docker compose` says by itself needs none of this.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/lib.sh

mkdir -p "${STACK_DIR:-.stack}"
home=$(cd "${STACK_DIR:-.stack}" && pwd)
# docker-compose.yml looks for settings there.
export STACK_DIR=$home
settings=$home/containers.env
# How long something may take to become ready, in seconds.
patience=180

services="ingest-api aggregator s3-sink"

is_service() {
  [[ " $services " == *" ${1:-} "* ]] || die "there is no service ${1:-}: they are $services" 64
}

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port VARIABLE DEFAULT WHAT: one that something else has taken is told before anything starts.
check_port() {
  local port=${!1:-$2}
  if is_taken "$port"; then
    die "port $port, which $3 needs, is taken by another program: stop that, or set $1 to a free one"
  fi
}

build() {
  local target revision
  revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
  for target in $services pageviews; do
    build_image "pageview-pipeline/$target:${IMAGE_TAG:-latest}" . --target "$target" \
      --build-arg "BINARIES=${BINARIES:-build}" --build-arg "REVISION=$revision"
    # Binaries from outside may want a newer system than the image is.
    "$DOCKER" run --rm "pageview-pipeline/$target:${IMAGE_TAG:-latest}" --version >/dev/null ||
      die "the image of $target does not run: built with BINARIES=build it would"
  done
}

up() {
  local began=$SECONDS service count scales=()
  local dashboard="http://localhost:${DASHBOARD_PORT:-8085}   (is it working, how fast, is anything lost?)"
  if [ -z "$(compose ps --quiet)" ]; then
    check_port API_PORT 8080 "the gateway"
    check_port KAFKA_PORT 9092 Kafka
    check_port S3_PORT 4566 "the AWS emulator"
    # It only looks: the rest goes on without it.
    if is_taken "${DASHBOARD_PORT:-8085}"; then
      say "no dashboard: port ${DASHBOARD_PORT:-8085} is taken by another program; DASHBOARD_PORT moves it"
      scales+=(--scale dashboard=0)
      dashboard=none
    fi
  fi
  # For us alone: there may be passwords among them. The configuration file is the images' own, whatever this shell says.
  (umask 077 && env | grep -E '^PAGEVIEW_[A-Z0-9_]+=' | grep -vE '^PAGEVIEW_(CONFIG|PROFILE)=' >"$settings" || true)
  # Compose would go back to one.
  for service in $services; do
    count=$(replicas "$service" | grep -c . || true)
    [ "$count" -lt 2 ] || scales+=(--scale "$service=$count")
  done
  compose up --detach --no-build --wait --wait-timeout $patience ${scales[@]+"${scales[@]}"} || {
    compose ps --all >&2
    die "not everything is ready: \`make logs\` shows why, \`make down\` stops what runs"
  }
  cat <<TEXT
up in $((SECONDS - began)) s

  API        http://localhost:${API_PORT:-8080}/api/pageviews   (health: /actuator/health, metrics of one replica: /metrics)
  dashboard  $dashboard
  Kafka      localhost:${KAFKA_PORT:-9092}
  S3         aws --endpoint-url=http://localhost:${S3_PORT:-4566} s3 ls s3://pageview-data/   (any credentials, region eu-west-2)
  metrics    docker compose up -d prometheus grafana   (ports 9090 and 3000)

  \`make demo\` sends load and shows the counts, \`make status\` how everything is, \`make down\` stops it.
TEXT
}

# The containers of a service, by number.
replicas() { compose ps --quiet "$1"; }

scale() {
  is_service "${1:-}"
  [[ ${2:-} =~ ^[0-9]+$ ]] || die "how many replicas is a number, not ${2:-nothing}" 64
  compose up --detach --no-build --no-deps --no-recreate --wait --wait-timeout $patience --scale "$1=$2" "$1"
  say "$1: $2 ready"
}

# One after the other, so that the others carry on: each drains, stops, starts, and is ready before the next.
restart() {
  is_service "${1:-}"
  local container state tries
  for container in $(replicas "$1"); do
    "$DOCKER" restart --time 30 "$container" >/dev/null
    for ((tries = 0; tries < patience; tries++)); do
      state=$("$DOCKER" inspect --format '{{.State.Health.Status}}' "$container")
      [ "$state" != healthy ] || break
      sleep 1
    done
    [ "$state" = healthy ] || die "$("$DOCKER" inspect --format '{{.Name}}' "$container") does not become ready: make logs SERVICE=$1"
    say "$("$DOCKER" inspect --format '{{.Name}}' "$container"): restarted"
  done
}

# Fails where something is not as it should be: one-shots have ended well, the others run, and are healthy if they tell.
status() {
  local all
  [ -n "$(compose ps --quiet)" ] || die "nothing runs in containers"
  compose ps --all
  all=$(compose ps --all --format '{{.State}}/{{.Health}}/{{.ExitCode}}')
  ! grep -vqE '^running/(healthy)?/0$|^exited//0$' <<<"$all" || die "not everything is ready"
}

case ${1:-} in
  build | up | scale | restart | status) "$@" ;;
  # pageviews [--volume A:B] pageviews COMMAND: with a terminal where there is one.
  pageviews)
    shift
    terminal=()
    [ -t 1 ] || terminal=(--no-TTY)
    compose run --rm ${terminal[@]+"${terminal[@]}"} "$@"
    ;;
  logs) shift && compose logs --tail 100 "$@" ;;
  down)
    compose --profile '*' stop
    # With what images call a volume and nobody has named; the data is in those that have a name.
    compose --profile '*' rm --force --volumes
    compose --profile '*' down
    say "stopped; the data is kept"
    ;;
  clean)
    [ -z "$(compose ps --quiet)" ] || die "it is running: \`make down\` first"
    compose --profile '*' down --volumes
    rm -f "$home/runtime" "$settings"
    say "removed the volumes: Kafka's data, S3's data, terraform's state"
    ;;
  *) die "usage: deploy/containers.sh build|up|scale SERVICE N|restart SERVICE|status|logs [SERVICE]|down|clean" 64 ;;
esac
