# One Dockerfile for all binaries:  docker build --build-arg BIN=aggregator .
#
# A first version: the process stack (`make up`) is what is tested today, containers are the work of a later issue.
# BINARIES=build compiles here; BINARIES=prebuilt takes binaries from dist/ that were built on the same Debian.
ARG BINARIES=build

FROM rust:1.95-slim-bookworm AS build
# perl is for OpenSSL, which the feature kafka-tls compiles in.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make perl \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked \
      -p ingest-api -p aggregator -p s3-sink -p cli --bins \
      --features ingest-api/kafka-tls,aggregator/kafka-tls,s3-sink/kafka-tls,cli/kafka-tls \
 && mkdir /out \
 && for bin in ingest-api aggregator s3-sink pageviews; do install -m 0755 target/release/$bin /out/ || exit 1; done

FROM scratch AS prebuilt
COPY dist /out

FROM ${BINARIES} AS binaries

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin app
COPY deploy/config /etc/pageviews
ARG BIN
COPY --from=binaries /out/${BIN} /usr/local/bin/service
USER 10001:10001
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/service"]
