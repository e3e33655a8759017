# One Dockerfile for all binaries, an image each:  docker build --target aggregator .
#
# BINARIES=build compiles here; BINARIES=prebuilt takes what `make dist` has put into dist/, built on the same Debian.
ARG BINARIES=build

FROM rust:1.95-slim-bookworm AS build
# perl is for OpenSSL, which the feature kafka-tls compiles in.
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ make perl \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
# What was compiled before stays in the builder's cache, dependencies above all. Our own sources are new to cargo, which goes
# by their times: another checkout may have been compiled here.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=pageview-pipeline-target,target=/src/target,sharing=locked \
    find crates -type f -exec touch {} + \
 && cargo build --release --locked -p ingest-api -p aggregator -p s3-sink -p cli --bins \
      --features ingest-api/kafka-tls,aggregator/kafka-tls,s3-sink/kafka-tls,cli/kafka-tls \
 && mkdir /out \
 && cd target/release \
 # Without the names of functions, a fifth smaller; a panic tells its line all the same.
 && install --strip ingest-api aggregator s3-sink pageviews /out/

FROM scratch AS prebuilt
COPY dist /out

FROM ${BINARIES} AS binaries

FROM debian:bookworm-slim AS runtime
# The certificates are for Kafka and S3 over TLS.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pageviews
COPY deploy/config /etc/pageviews
USER 10001:10001
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="pageview-pipeline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

# The operator's command line.
FROM runtime AS pageviews
LABEL org.opencontainers.image.title="pageviews"
COPY --from=binaries /out/pageviews /usr/local/bin/
ENTRYPOINT ["pageviews"]

FROM runtime AS ingest-api
LABEL org.opencontainers.image.title="ingest-api"
COPY --from=binaries /out/ingest-api /usr/local/bin/
EXPOSE 8080
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["ingest-api", "--healthcheck"]
ENTRYPOINT ["ingest-api"]

FROM runtime AS aggregator
LABEL org.opencontainers.image.title="aggregator"
COPY --from=binaries /out/aggregator /usr/local/bin/
EXPOSE 8081
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["aggregator", "--healthcheck"]
ENTRYPOINT ["aggregator"]

FROM runtime AS s3-sink
LABEL org.opencontainers.image.title="s3-sink"
COPY --from=binaries /out/s3-sink /usr/local/bin/
EXPOSE 8082
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["s3-sink", "--healthcheck"]
ENTRYPOINT ["s3-sink"]
