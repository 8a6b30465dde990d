# syntax=docker/dockerfile:1

# The builder runs on the machine that builds and compiles for the platform that
# the image is for, so that no emulation is needed:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=v0.1.0 .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build

WORKDIR /src

# Modules first: they change seldom and stay in their own layer.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .

ARG TARGETOS
ARG TARGETARCH
ARG VERSION=v0.0.0-dev
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/job-handler/job-handler/internal/version.Version=$VERSION" \
      -o /out/job-handler ./cmd/manager

# No shell, no package manager; certificates, time zones and a user are in it.
FROM gcr.io/distroless/static:nonroot

COPY --from=build /out/job-handler /job-handler
# By number, so that runAsNonRoot can be checked without reading /etc/passwd.
USER 65532:65532
ENTRYPOINT ["/job-handler"]
