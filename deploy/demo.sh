#!/usr/bin/env bash
# What `make demo` shows: load, counts, objects, and the proof that nothing was lost or counted twice.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/lib.sh

runtime=$(deploy/runtime.sh)
s3=http://localhost:4566/pageview-data
mkdir -p "${STACK_DIR:-.stack}"
folder=$(mktemp -d -p "$(cd "${STACK_DIR:-.stack}" && pwd)")
trap 'rm -rf "$folder"' EXIT

case $runtime in
  containers)
    deploy/containers.sh status >/dev/null || { deploy/containers.sh status >&2; exit 1; }
    # Its user is another one in there.
    chmod 777 "$folder"
    # Their ports may have been moved.
    s3=http://localhost:${S3_PORT:-4566}/pageview-data
    receipts=/receipts/receipts
    url=http://gateway:8080
    pageviews() { deploy/containers.sh pageviews --volume "$folder:/receipts" pageviews "$@"; }
    ;;
  *)
    export PAGEVIEW_PROFILE=${PAGEVIEW_PROFILE:-local} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
    [ -x target/release/stack ] || die "nothing runs: make up first"
    target/release/stack status >/dev/null || { target/release/stack status >&2; exit 1; }
    receipts=$folder/receipts
    url=http://localhost:8080
    pageviews() { target/release/pageviews "$@"; }
    ;;
esac

headline() { printf '\n== %s\n' "$*"; }

headline "load for ${DEMO_DURATION:=30s}, ${DEMO_RATE:=5000} events a second, to $runtime"
pageviews generate --url "$url" --rate "$DEMO_RATE" --duration "$DEMO_DURATION" --receipts "$receipts"

# The last event's minute ends; grace (5 s), idle timeout (10 s) and flush interval (10 s) of the local profile pass.
left=$((60 - $(date +%s) % 60 + 30))
if [ -t 1 ]; then
  for (( ; left > 0; left--)); do
    printf '\rthe last windows are closed and written in %2d s ' "$left"
    sleep 1
  done
  echo
else
  echo "the last windows are closed and written in $left s"
  sleep "$left"
fi

headline "the top postcodes"
pageviews counts --top 10 --bars

headline "the objects"
for prefix in raw aggregates late ledger; do
  list=$(curl -fsS "$s3?list-type=2&prefix=$prefix/")
  keys=$(grep -o '<Key>[^<]*' <<<"$list" | cut -c6- || true)
  more=
  if grep -q '<IsTruncated>true' <<<"$list"; then more=' or more'; fi
  printf '%s/: %s objects%s\n' "$prefix" "$(grep -c . <<<"$keys" || true)" "$more"
  tail -n 2 <<<"$keys" | sed '/^$/d; s/^/  /'
done

headline "the audit"
pageviews audit --wait 60s --receipts "$receipts"
