#!/usr/bin/env bash
# Checks Prometheus' configuration and rules, runs the rules' unit tests, and checks what no tool does (check.py).
set -euo pipefail
cd "$(dirname "$0")"

missing=
need() { command -v "$1" >/dev/null || { echo "missing: $1, $2 (Debian: apt-get install $3)" >&2; missing=1; }; }
need promtool "which checks and tests the rules" prometheus
need python3 "which checks the dashboard" python3
[ -z "$missing" ]

# Of two commands that say what is wrong, and much else where nothing is.
quietly() {
  local said
  said=$("$@" 2>&1) || { printf '%s\n' "$said" >&2; exit 1; }
}
quietly promtool check config prometheus.yml
quietly promtool check rules rules/pageviews.yml
quietly promtool test rules rules/pageviews.test.yml
# The dashboard's queries, as if they were rules.
queries=$(mktemp)
trap 'rm -f "$queries"' EXIT
python3 check.py --queries >"$queries"
quietly promtool check rules "$queries"
python3 check.py
