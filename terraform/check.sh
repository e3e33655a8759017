#!/usr/bin/env bash
# Formatting, validity, and the modules' own tests; nothing is asked of AWS. In copies, so that nothing is written here.
set -euo pipefail
cd "$(dirname "$0")/.."
source deploy/lib.sh

mend="install 1.7 or later (https://developer.hashicorp.com/terraform/install)"
command -v terraform >/dev/null || die "missing: terraform: $mend"
# A variable that names a file which is not there is worth a warning in every line of output.
[ -e "${TF_CLI_CONFIG_FILE:-/}" ] || unset TF_CLI_CONFIG_FILE
export CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1
version=$(terraform version | sed -n '1s/^Terraform v//p')
[ "$(printf '%s\n' 1.7 "$version" | sort -V | head -n 1)" = 1.7 ] || die "terraform $version cannot mock: $mend"

terraform fmt -check -diff -recursive terraform || die "terraform/ is not formatted: make fmt"
say "terraform/: formatted"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r terraform "$copy/terraform"
mirror=()
if folder=$(provider_mirror); then mirror=(-plugin-dir="$folder"); fi
for part in environments/local environments/aws modules/storage modules/access \
  modules/monitoring modules/catalog; do
  at="$copy/terraform/$part"
  terraform -chdir="$at" init -backend=false -input=false -no-color "${mirror[@]}" >"$copy/init.log" 2>&1 || {
    tail -n 20 "$copy/init.log" >&2
    die "terraform cannot get its provider: set STACK_TERRAFORM_PLUGINS to a folder of unpacked ones"
  }
  terraform -chdir="$at" validate -no-color >/dev/null || die "terraform/$part is not valid"
  say "terraform/$part: valid"
  if [ -d "$at/tests" ]; then terraform -chdir="$at" test -no-color; fi
done
