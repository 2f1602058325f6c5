# syntax=docker/dockerfile:1
# The set-up of the log for those who have Docker: the same program, byte for byte, and the same image
# configuration as deployments/images makes without, where dockerfile_test.go holds both together.
# The context is the repository's root, because the modules beside this one are needed:
#
#   docker build -f services/load-balancer/log-setup.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) -t nemesis/log-setup:dev .
#
# The builder is pinned by version; add the digest that your registry gives it if you pin those too.
ARG VERSION=0.2.0
ARG REVISION=unknown

FROM --platform=$BUILDPLATFORM golang:1.26.9 AS build
ARG VERSION
ARG REVISION
ARG TARGETARCH
ENV CGO_ENABLED=0 GOWORK=off GOFLAGS= GOOS=linux
WORKDIR /src/services/load-balancer
# The modules first: they change more seldom than the source.
COPY gen/go.mod gen/go.sum /src/gen/
COPY pkg/go.mod pkg/go.sum /src/pkg/
COPY services/load-balancer/go.mod services/load-balancer/go.sum ./
RUN go mod download
COPY gen /src/gen
COPY pkg /src/pkg
COPY services/load-balancer ./
RUN GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -o program \
    -ldflags "-s -w -X github.com/nemesis-scaling/nemesis/pkg/build.version=$VERSION -X github.com/nemesis-scaling/nemesis/pkg/build.revision=$REVISION" \
    ./cmd/log-setup

FROM scratch
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="log-setup" \
      org.opencontainers.image.description="Makes an Elasticsearch ready for the load balancers' log" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/nemesis-scaling/nemesis"
COPY --from=build /src/services/load-balancer/program /log-setup
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/log-setup"]
