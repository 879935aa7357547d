# The agent, the agent without an engine, and the operator's program, each alone in its image: no shell, no compiler, no package manager.
#
#   docker build -t doom-agent .                          the agent with its engine
#   docker build -t doom-agent:mock --target mock .       the agent that plays the mock alone
#   docker build -t doomctl --target doomctl .            the operator's program
#
# `cargo xtask image` builds all three, and makes the base images where none can be pulled. Both bases are the same release of Debian, and
# may be yours: BUILDER_BASE has Rust (and your registry's configuration, where you have one), RUNTIME_BASE gives the system's libraries.
# The stages up to `portable`, `engine` and `agent` compile, and leave the others what they take in /out; `cargo xtask image --quick` fills that
# on the host and builds the others alone.
# Written for BuildKit and for the builder that came before it.
ARG BUILDER_BASE=rust:1-bookworm
ARG RUNTIME_BASE=debian:bookworm-slim

FROM ${BUILDER_BASE} AS base
WORKDIR /build
ENV CARGO_INCREMENTAL=0 CARGO_TERM_PROGRESS_WHEN=never CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_STRIP=symbols
COPY deploy/image/install.sh /usr/local/libexec/image/
RUN /usr/local/libexec/image/install.sh ca-certificates g++ libboost-filesystem-dev libboost-thread-dev libboost-chrono-dev libboost-atomic-dev

# What of the sources decides on the dependencies, and what the programs are made from: a change to anything else builds nothing anew.
FROM base AS sources
COPY deploy/image deploy/image
COPY Cargo.toml Cargo.lock LICENSE build.rs ./
COPY configs configs
COPY crates crates
COPY src src
RUN deploy/image/manifests.sh /build /manifests && deploy/image/sources.sh /build /sources doomctl

# What others wrote, compiled once for as long as the manifests stay the same.
FROM base AS dependencies
COPY --from=sources /manifests/ ./
RUN cargo build --locked --release --package doom-agent --package doomctl --no-default-features

# The two programs that need no C++.
FROM dependencies AS portable
COPY deploy/image/licences.sh deploy/image/
COPY vendor/manifest.toml vendor/
COPY --from=sources /sources/ ./
ARG COMMIT=unknown
# Cargo goes by times, and the empty programs of the layer below are younger than the sources.
RUN find build.rs src crates -name '*.rs' -exec touch {} + \
    && DOOM_AGENT_COMMIT=$COMMIT cargo build --locked --release --package doom-agent --package doomctl --no-default-features \
    && install -D -t /out/mock target/release/doom-agent && install -D -t /out/doomctl target/release/doomctl \
    && deploy/image/licences.sh /out/licences/mock --package doom-agent --no-default-features \
    && deploy/image/licences.sh /out/licences/doomctl --package doomctl

FROM ${RUNTIME_BASE} AS runtime
COPY deploy/image /usr/local/libexec/image
RUN /usr/local/libexec/image/install.sh ca-certificates libstdc++6 libgcc-s1 zlib1g libudev1 \
    && mkdir /root-fs && /usr/local/libexec/image/root.sh /root-fs
COPY LICENSE deploy/image/NOTICE /root-fs/usr/share/doc/doom-agent/

FROM runtime AS mock-root
COPY --from=portable /out/licences/mock /root-fs/usr/share/doc/doom-agent/crates
COPY --from=portable /out/mock /root-fs/usr/local/bin
RUN /usr/local/libexec/image/collect.sh /root-fs /root-fs/usr/local/bin/doom-agent

FROM scratch AS mock
COPY --from=mock-root /root-fs/ /
COPY --from=mock-root --chown=10001:10001 /root-fs/state/ /var/lib/
ARG COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="doom-agent (mock)" \
      org.opencontainers.image.description="One agent that plays an invented game: for tests of what is around it" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.version="${VERSION}" \
      clau-doom.engine="mock"
# AGENT_ID and all other settings are the orchestrator's; @hostname is unique for each container.
ENV PATH=/usr/local/bin HOME=/var/lib/doom-agent AGENT_ID=@hostname DOOM_AGENT_STATE_DIR=/var/lib/doom-agent DOOM_AGENT_HTTP=0.0.0.0:8080
USER 10001:10001
WORKDIR /var/lib/doom-agent
VOLUME /var/lib/doom-agent
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["doom-agent", "health"]
ENTRYPOINT ["doom-agent"]

FROM runtime AS doomctl-root
COPY --from=portable /out/licences/doomctl /root-fs/usr/share/doc/doom-agent/crates
COPY --from=portable /out/doomctl /root-fs/usr/local/bin
RUN /usr/local/libexec/image/collect.sh /root-fs /root-fs/usr/local/bin/doomctl

FROM scratch AS doomctl
COPY --from=doomctl-root /root-fs/ /
ARG COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="doomctl" \
      org.opencontainers.image.description="The operator's program for a population of doom-agents" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/usr/local/bin HOME=/tmp
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
ENTRYPOINT ["doomctl"]

# The engine: taken from the context where it is for this processor, fetched by its pinned hash where it is not.
FROM base AS engine
COPY --from=sources /manifests/ ./
COPY crates/xtask/src crates/xtask/src
COPY vendor vendor
RUN machine() { od -An -tx1 -j18 -N2 "$1" 2>/dev/null; }; \
    if [ "$(machine vendor/vizdoom/engine/vizdoom)" != "$(machine /bin/sh)" ] || [ ! -d vendor/vizdoom/src/src/lib ]; then \
        rm -rf vendor/vizdoom && find crates/xtask -name '*.rs' -exec touch {} + && cargo run --locked --package xtask -- setup --play; \
    fi
COPY deploy/image/engine.sh deploy/image/
RUN deploy/image/engine.sh /out

FROM portable AS agent
COPY --from=engine /build/vendor/vizdoom/src vendor/vizdoom/src
ARG COMMIT=unknown
RUN DOOM_AGENT_COMMIT=$COMMIT cargo build --locked --release --package doom-agent --package doomctl --no-default-features --features doom-agent/vizdoom \
    && install -D -t /out/agent target/release/doom-agent \
    && deploy/image/licences.sh /out/licences/agent --package doom-agent --no-default-features --features vizdoom

FROM runtime AS agent-root
COPY --from=engine /out/licences /root-fs/usr/share/doc/doom-agent/vizdoom
COPY --from=engine /out/share /root-fs/usr/local/share
COPY --from=agent /out/licences/agent /root-fs/usr/share/doc/doom-agent/crates
COPY --from=agent /out/agent /root-fs/usr/local/bin
# SDL, below the engine, asks for libudev by name.
RUN cd /root-fs/usr/local && /usr/local/libexec/image/collect.sh /root-fs bin/doom-agent share/doom-agent/vizdoom/engine/vizdoom \
    share/doom-agent/vizdoom/vizdoom.libs/* "$(ldconfig -p | awk '/libudev\.so\.1/ { print $NF; exit }')"

FROM scratch AS doom-agent
COPY --from=agent-root /root-fs/ /
COPY --from=agent-root --chown=10001:10001 /root-fs/state/ /var/lib/
ARG COMMIT=unknown
ARG VERSION=unknown
ARG ENGINE_VERSION=unknown
LABEL org.opencontainers.image.title="doom-agent" \
      org.opencontainers.image.description="One Doom-playing agent: a ViZDoom game loop that publishes its events over NATS" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.version="${VERSION}" \
      clau-doom.engine="ViZDoom ${ENGINE_VERSION}"
ENV PATH=/usr/local/bin HOME=/var/lib/doom-agent AGENT_ID=@hostname DOOM_AGENT_STATE_DIR=/var/lib/doom-agent DOOM_AGENT_HTTP=0.0.0.0:8080
USER 10001:10001
WORKDIR /var/lib/doom-agent
VOLUME /var/lib/doom-agent
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=40s --retries=3 CMD ["doom-agent", "health"]
ENTRYPOINT ["doom-agent"]
