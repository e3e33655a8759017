# shellcheck shell=bash
# What the scripts of deploy/ share. Sourced.

DOCKER=${DOCKER:-docker}

say() { printf '%s\n' "$*" >&2; }

# die WORDS [EXIT CODE]
die() {
  say "$1"
  exit "${2:-1}"
}

# within SECONDS COMMAND: where there is a timeout, which macOS lacks.
within() {
  if command -v timeout >/dev/null; then timeout "$@"; else "${@:2}"; fi
}

# shellcheck disable=SC2034
# Whether a container engine answers within a few seconds; ENGINE_TROUBLE says why not.
engine_answers() {
  ENGINE_TROUBLE=
  command -v "$DOCKER" >/dev/null || { ENGINE_TROUBLE="$DOCKER is not installed"; return 1; }
  within 10 "$DOCKER" info >/dev/null 2>&1 || { ENGINE_TROUBLE="the engine behind $DOCKER does not answer"; return 1; }
}

compose() { "$DOCKER" compose "$@"; }

have_compose() { compose version >/dev/null 2>&1; }

# build_image TAG CONTEXT [ARGUMENTS]: with BuildKit, which is in the engine. A client since 23 needs buildx to speak to it;
# where it has none, Debian's older client, which does not, may be there too. For Podman, images in the format that has
# health checks.
build_image() {
  local tag=$1 context=$2 docker=$DOCKER
  shift 2
  if [ "$docker" = docker ] && ! docker buildx version >/dev/null 2>&1 && [ -x /usr/bin/docker ]; then
    docker=/usr/bin/docker
  fi
  DOCKER_BUILDKIT=1 BUILDAH_FORMAT=docker "$docker" build --tag "$tag" "$@" "$context"
}

# A folder of unpacked terraform providers: STACK_TERRAFORM_PLUGINS, else one of the places that people put them.
provider_mirror() {
  local folder
  if [ -n "${STACK_TERRAFORM_PLUGINS:-}" ]; then
    echo "$STACK_TERRAFORM_PLUGINS"
    return
  fi
  # As in crates/stack/src/terraform.rs.
  for folder in ~/.terraform.d/plugins ~/.local/share/terraform/plugins \
    /usr/local/share/terraform/plugins /usr/share/terraform/plugins /opt/*; do
    if [ -d "$folder/registry.terraform.io/hashicorp/aws" ]; then
      echo "$folder"
      return
    fi
  done
  return 1
}
