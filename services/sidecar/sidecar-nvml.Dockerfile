# syntax=docker/dockerfile:1
# The sidecar that reads NVIDIA's GPUs, for those who have Docker: the same program with the tag nvml, byte for byte where the C
# compiler is the same one, and the same image configuration as deployments/images makes without, where dockerfile_test.go holds
# both together. The context is the repository's root, because the modules beside this one are needed:
#
#   docker build -f services/sidecar/sidecar-nvml.Dockerfile --build-arg REVISION=$(git rev-parse HEAD) -t nemesis/sidecar-nvml:dev .
#
# The builder is pinned by version; add the digest that your registry gives it if you pin those too. It is of the image's own
# platform, for its C compiler makes programs for no other.
ARG VERSION=0.2.0
ARG REVISION=unknown

FROM golang:1.26.9 AS build
ARG VERSION
ARG REVISION
ARG TARGETARCH
# Functions are looked up when they are called first: those of NVIDIA's library are not there when the program begins.
ENV CGO_ENABLED=1 GOWORK=off GOFLAGS= GOOS=linux CGO_LDFLAGS=-Wl,-z,lazy
WORKDIR /src/services/sidecar
# The modules first: they change more seldom than the source.
COPY gen/go.mod gen/go.sum /src/gen/
COPY pkg/go.mod pkg/go.sum /src/pkg/
COPY services/sidecar/go.mod services/sidecar/go.sum ./
RUN go mod download
COPY gen /src/gen
COPY pkg /src/pkg
COPY services/sidecar ./
# Nobody speaks HTTP/2 with a sidecar, nor it with anybody.
RUN GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -tags nethttpomithttp2,nvml -o program \
    -ldflags "-s -w -X github.com/nemesis-scaling/nemesis/pkg/build.version=$VERSION -X github.com/nemesis-scaling/nemesis/pkg/build.revision=$REVISION" \
    ./cmd/sidecar
# What NVIDIA's library is linked with, in place of a distribution: glibc, and the loader that the program names.
RUN mkdir -p "root/lib/$(gcc -print-multiarch)" && \
    for name in libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1; do \
      cp -L "$(gcc -print-file-name=$name)" "root/lib/$(gcc -print-multiarch)/"; \
    done && \
    for loader in /lib64/ld-linux-*.so.* /lib/ld-linux-aarch64.so.*; do \
      if [ -e "$loader" ]; then mkdir -p "root${loader%/*}" && cp -L "$loader" "root$loader"; fi; \
    done

FROM scratch
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="sidecar-nvml" \
      org.opencontainers.image.description="Measures its pod, NVIDIA GPUs too, and tells the autoscaler-controller" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.licenses="Apache-2.0 AND LGPL-2.1-or-later" \
      org.opencontainers.image.source="https://github.com/nemesis-scaling/nemesis"
# What NVIDIA's container runtime goes by: its driver's library alone, of all GPUs, unless somebody says which.
ENV NVIDIA_DRIVER_CAPABILITIES=utility NVIDIA_VISIBLE_DEVICES=all
COPY --from=build /src/services/sidecar/program /sidecar-nvml
COPY --from=build /src/services/sidecar/root /
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/sidecar-nvml"]
