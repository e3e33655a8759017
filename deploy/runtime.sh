#!/usr/bin/env bash
# Says where the pipeline runs, on standard output: `containers` or `processes`; and why, on standard error.
#
#   deploy/runtime.sh up     where `make up` shall start it; with BINARIES=prebuilt behind it where images can only be made of
#                            binaries that are built outside
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
    echo "${1%% *}" >"$home/runtime"
  fi
  echo "$1"
  exit
}

instead() {
  [ "${RUNTIME:-}" != containers ] || die "RUNTIME=containers, but $1 (RUNTIME=processes needs none of it)"
  say "starting plain processes: $1 (RUNTIME=containers insists)"
  chosen processes
}

# Whether a supervisor of processes runs: it holds the lock, and its socket is left behind when it is killed.
supervised() {
  [ -S "$home/control.sock" ] || return 1
  ! command -v flock >/dev/null || ! flock --nonblock "$home/lock" true
}

# Whether an image is here now; TROUBLE says why not.
have_image() {
  "$DOCKER" image inspect "$1" >/dev/null 2>&1 && return
  say "pulling $1"
  TROUBLE=$(within 900 "$DOCKER" pull --quiet "$1" 2>&1 >/dev/null) && return
  TROUBLE="the image $1 is not here and cannot be pulled: $(tail -n 1 <<<"$TROUBLE" | cut -c1-200)"
  return 1
}

case ${RUNTIME:-} in
  '' | containers) ;;
  processes) chosen processes ;;
  *) die "RUNTIME is containers or processes, not $RUNTIME" 64 ;;
esac

engine=
if ! engine_answers; then
  engine=$ENGINE_TROUBLE
elif ! have_compose; then
  engine="there is no docker compose (Docker's plugin docker-compose-plugin)"
fi

if [ -z "${RUNTIME:-}" ]; then
  # What runs is what is meant.
  if supervised; then
    [ "$command" != up ] || say "it runs as plain processes already"
    chosen processes
  elif [ -z "$engine" ] && [ -n "$(compose ps --quiet 2>/dev/null)" ]; then
    [ "$command" = up ] || chosen containers
    say "it runs in containers already"
  elif [ "$command" != up ]; then
    # Nothing does: what was started last has the data.
    chosen "$(cat "$home/runtime" 2>/dev/null || echo processes)"
  fi
fi

[ -z "$engine" ] || instead "$engine"
[ "$command" = up ] || chosen containers
images=$(compose config --images) || instead "docker compose cannot read docker-compose.yml (it needs Compose 2.30)"
for image in debian:bookworm-slim $(grep -v '^pageview-pipeline/' <<<"$images" | sort -u); do
  have_image "$image" || instead "$TROUBLE"
done
reason="starting containers: an engine answers, and all images are here (RUNTIME=processes does without)"
if [ "${BINARIES:-build}" = build ] && ! have_image rust:1.95-slim-bookworm; then
  command -v cargo >/dev/null || instead "$TROUBLE"
  say "$reason; the binaries are built outside, for $TROUBLE"
  chosen "containers BINARIES=prebuilt"
fi
say "$reason"
chosen containers
