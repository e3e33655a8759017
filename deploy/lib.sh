# shellcheck shell=bash
# What the scripts of deploy/ share. Sourced.

DOCKER=${DOCKER:-docker}

say() { printf '%s\n' "$*" >&2; }

# die WORDS [EXIT CODE]
die() {
  say "$1"
  exit "${2:-1}"
}

# shellcheck disable=SC2034
# Whether a container engine answers within a few seconds; ENGINE_TROUBLE says why not.
engine_answers() {
  ENGINE_TROUBLE=
  command -v "$DOCKER" >/dev/null || { ENGINE_TROUBLE="$DOCKER is not installed"; return 1; }
  timeout 10 "$DOCKER" info >/dev/null 2>&1 || { ENGINE_TROUBLE="the engine behind $DOCKER does not answer"; return 1; }
}

# Compose, as a plugin or on its own.
compose() {
  if "$DOCKER" compose version >/dev/null 2>&1; then
    "$DOCKER" compose "$@"
  else
    docker-compose "$@"
  fi
}

have_compose() { "$DOCKER" compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }

# build_image TAG CONTEXT [ARGUMENTS]: with BuildKit, which is in the engine, but which a client since 23 without buildx does
# not speak.
build_image() {
  local tag=$1 context=$2 docker=$DOCKER
  shift 2
  if [ "$docker" = docker ] && ! docker buildx version >/dev/null 2>&1 && [ -x /usr/bin/docker ]; then
    docker=/usr/bin/docker
  fi
  DOCKER_BUILDKIT=1 "$docker" build --tag "$tag" "$@" "$context"
}

# A folder of unpacked terraform providers: STACK_TERRAFORM_PLUGINS, else one of the places that people put them.
provider_mirror() {
  local folder
  for folder in "${STACK_TERRAFORM_PLUGINS:-}" ~/.terraform.d/plugins ~/.local/share/terraform/plugins \
    /usr/local/share/terraform/plugins /usr/share/terraform/plugins /opt/*; do
    if [ -n "$folder" ] && [ -d "$folder/registry.terraform.io/hashicorp/aws" ]; then
      echo "$folder"
      return
    fi
  done
  return 1
}
