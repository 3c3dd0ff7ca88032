# Sourced by .ci/run: installs the peers that the interop tests run against, each by name and version, outside the tree.
# A peer that cannot be installed is skipped with its name and reason; its tests then skip as well, naming it again.
# shellcheck shell=bash

# install NAME COMMAND...: one line when it worked, a named skip with the last words of the installer when not.
install() {
  local name=$1 begun=$SECONDS
  shift
  if timeout --kill-after=10 300 "$@" >"$WORK_DIR/install.log" 2>&1; then
    printf -- '-- installed %s, %d s\n' "$name" $((SECONDS - begun))
  else
    skip "install $name" "$(tail -n 3 "$WORK_DIR/install.log" | tr '\n' ' ')"
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
system_tool turnserver coturn
system_tool gtlsclient ngtcp2-client
system_tool gtlsserver ngtcp2-server
system_tool nft nftables
system_tool ip iproute2
