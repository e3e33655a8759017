#!/usr/bin/env bash
# Says where the pipeline runs, on standard output: `containers` or `processes`; and why, on standard error.
#
#   deploy/runtime.sh up     where `make up` shall start it
#   deploy/runtime.sh        where it runs, or was started last
#
# RUNTIME=containers|processes decides it.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/lib.sh

home=${STACK_DIR:-.stack}
command=${1:-}

chosen() {
  if [ "$command" = up ]; then
    mkdir -p "$home"
    echo "$1" >"$home/runtime"
  fi
  echo "$1"
  exit
}

case ${RUNTIME:-} in
  '') ;;
  processes) chosen processes ;;
  containers)
    engine_answers || die "RUNTIME=containers, but $ENGINE_TROUBLE (RUNTIME=processes needs none)"
    have_compose || die "RUNTIME=containers, but there is no docker compose (Docker's plugin docker-compose-plugin)"
    chosen containers
    ;;
  *) die "RUNTIME is containers or processes, not $RUNTIME" 64 ;;
esac

engine=no
if engine_answers && have_compose; then engine=yes; fi

# What runs is what is meant.
if [ -S "$home/control.sock" ]; then chosen processes; fi
if [ $engine = yes ] && [ -n "$(compose ps --quiet 2>/dev/null)" ]; then chosen containers; fi

if [ "$command" != up ]; then
  # Nothing runs: what was started last has the logs and the data.
  chosen "$(cat "$home/runtime" 2>/dev/null || echo processes)"
fi

processes_because() {
  say "starting plain processes: $1 (RUNTIME=containers insists)"
  chosen processes
}

engine_answers || processes_because "$ENGINE_TROUBLE"
have_compose || processes_because "there is no docker compose"
# Those of others, and what ours are built from.
for image in $(compose config --images | grep -v '^pageview-pipeline/' | sort -u) $(deploy/containers.sh bases); do
  "$DOCKER" image inspect "$image" >/dev/null 2>&1 && continue
  say "pulling $image"
  trouble=$(timeout 900 "$DOCKER" pull --quiet "$image" 2>&1 >/dev/null) ||
    processes_because "the image $image is not here and cannot be pulled: $(tail -n 1 <<<"$trouble" | cut -c1-200)"
done
say "starting containers: an engine answers, and all images are here (RUNTIME=processes does without)"
chosen containers
