# Sourced by .ci/run: installs the peers that the interop tests run against, each by name and version, outside the tree.
# A peer that cannot be installed is skipped with its name and reason; its tests then skip as well, naming it again.
# shellcheck shell=bash

# What any of them may take; a fresh machine with two cores builds the slowest of them in a minute or two.
INSTALL_SECONDS=300

# install NAME COMMAND...: one line when it worked, a named skip with the last words of the installer when not.
install() {
  local name=$1 begun=$SECONDS
  shift
  if timeout --kill-after=10 "$INSTALL_SECONDS" "$@" >"$WORK_DIR/install.log" 2>&1; then
    printf -- '-- installed %s, %d s\n' "$name" $((SECONDS - begun))
  else
    local reason
    reason=$(tail -n 3 "$WORK_DIR/install.log" | tr '\n' ' ')
    ((SECONDS - begun < INSTALL_SECONDS)) || reason="stopped after $INSTALL_SECONDS s: $reason"
    skip "install $name" "$reason"
    return 1
  fi
}

# python_peer NAME VERSION
python_peer() {
  local target="$TRAVERSE_PEERS_DIR/python-$1-$2"
  [ ! -f "$target/.complete" ] || return 0
  rm -rf "$target"
  install "$1 $2 (PyPI)" python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --only-binary=:all: --target "$target" "$1==$2" && touch "$target/.complete"
}

# npm_peer NAME VERSION
npm_peer() {
  local target="$TRAVERSE_PEERS_DIR/npm-${1//\//-}-$2"
  [ ! -f "$target/.complete" ] || return 0
  rm -rf "$target"
  mkdir -p "$target"
  install "$1 $2 (npm)" npm install --silent --no-save --prefix "$target" "$1@$2" && touch "$target/.complete"
}

# built_peer TOOL NAME COMMAND...: builds tests/interop/peers/NAME, unless these very sources were built before. COMMAND runs
# there, and leaves the program at $PEER_OUTPUT; $PEER_BUILD is kept until it has, so that a build that was stopped goes on.
built_peer() {
  local tool=$1 name=$2 hash target
  shift 2
  hash=$(find "tests/interop/peers/$name" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat | sha256sum | cut -c 1-16)
  target="$TRAVERSE_PEERS_DIR/$tool-$name-$hash"
  [ ! -f "$target/.complete" ] || return 0
  if ! command -v "$tool" >/dev/null; then
    skip "build $name" "no $tool"
    return 1
  fi
  rm -rf "$TRAVERSE_PEERS_DIR/$tool-$name-"*
  mkdir -p "$target"
  local -x PEER_OUTPUT="$target/$name-peer" PEER_BUILD="$TRAVERSE_PEERS_DIR/build-$tool-$name"
  install "$name ($tool)" env -C "tests/interop/peers/$name" "$@" && touch "$target/.complete" && rm -rf "$PEER_BUILD"
}

# Cargo and its network, within their own limits: a registry that does not answer is no reason to wait for long.
export CARGO_HTTP_TIMEOUT=30 CARGO_NET_RETRY=2

# system_tool COMMAND PACKAGE
system_tool() {
  ! command -v "$1" >/dev/null || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    skip "install $2" "needs root and apt"
    return 1
  fi
  if [ -z "${apt_updated:-}" ]; then
    apt_updated=1
    install "package lists" apt-get update -qq || return 1
  fi
  # The service that comes with a package is not to start (invoke-rc.d heeds RUNLEVEL): the tests start their own.
  install "$2 (apt)" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$2"
}

printf '\n== peers, kept in %s\n' "$TRAVERSE_PEERS_DIR"
python_peer aioquic 1.7.2
python_peer aioice 0.13.0
npm_peer @number0/iroh 1.1.0
# shellcheck disable=SC2016 # The variables are the command's.
built_peer cargo noq sh -c \
  'cargo build --quiet --release --locked --target-dir "$PEER_BUILD" && cp "$PEER_BUILD/release/noq-peer" "$PEER_OUTPUT"'
# shellcheck disable=SC2016
built_peer go quicgo sh -c 'go build -buildvcs=false -mod=readonly -trimpath -o "$PEER_OUTPUT" .'
# shellcheck disable=SC2016
built_peer go masque sh -c 'go build -buildvcs=false -mod=readonly -trimpath -o "$PEER_OUTPUT" .'
system_tool turnserver coturn
system_tool gtlsclient ngtcp2-client
system_tool gtlsserver ngtcp2-server
system_tool nft nftables
system_tool ip iproute2
