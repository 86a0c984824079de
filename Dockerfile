# The gateway as a container image: `make image`. docs/operations.md says how to
# run it.
#
# librdkafka is linked in, by cgo, from the static library for glibc that
# confluent-kafka-go carries. What stays dynamic is libc and libm, so the build
# needs a C compiler and the result a base with a glibc that is not older: both
# are Debian 12. Neither is pinned by digest: one has to be read from the registry, and the
# machines that this repository is tested on reach none. For builds that can be repeated, pin
# both where you build (--build-arg GO_IMAGE=name:tag@sha256:…, BASE_IMAGE likewise), and
# raise the digests for updates. The base has no shell, no package manager and no OpenSSL
# (librdkafka brings its own), but authorities' certificates and time zones.
ARG GO_IMAGE=docker.io/library/golang:1.26-bookworm
ARG BASE_IMAGE=gcr.io/distroless/base-nossl-debian12:nonroot

FROM ${GO_IMAGE} AS build
WORKDIR /src
# Where modules come from, if not from Go's default; nothing of it gets into the image.
ARG GOPROXY
COPY go.mod go.sum ./
# The toolchain of go.mod is the oldest Go without known vulnerabilities, and the images' Go
# does not fetch another (GOTOOLCHAIN=local): refuse to build with an older one.
ARG ALLOW_OLDER_GO=no
RUN want="$(sed -n 's/^toolchain //p' go.mod)"; have="$(go env GOVERSION)"; \
    if [ "$(printf '%s\n' "$want" "$have" | sort -V | head -n 1)" != "$want" ] && [ "$ALLOW_OLDER_GO" != yes ]; then \
      echo "$have is older than $want, which go.mod asks for; take a newer GO_IMAGE" >&2; exit 1; \
    fi
RUN go mod download
COPY . .
ARG VERSION=dev
RUN --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=1 go build -trimpath -buildvcs=false -mod=readonly \
      -ldflags "-s -w -X main.version=${VERSION}" -o /out/gateway ./cmd/gateway

FROM ${BASE_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="eventgateway" \
      org.opencontainers.image.description="HTTP to Kafka event gateway: validates, deduplicates, and answers when Kafka has acknowledged" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/gateway /usr/local/bin/gateway
COPY schemas /etc/gateway/schemas
# schemas.dir is relative by default: to here.
WORKDIR /etc/gateway
# Loopback, the default, is the container's own: neither probes nor Prometheus
# would get through. This overrides admin.listen of the file.
ENV GATEWAY_ADMIN_LISTEN=:9090
# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
USER 10001:10001
EXPOSE 8080 9090
# Liveness: Kafka or Redis being away is no reason to start a gateway anew.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/local/bin/gateway", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/gateway"]
CMD ["serve", "-c", "/etc/gateway/gateway.yaml"]
