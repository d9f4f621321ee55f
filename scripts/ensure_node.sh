#!/usr/bin/env bash
# Install the packages of the folder given, as locked there; install Node first where this machine has none.
set -eu

if ! command -v npm >/dev/null 2>&1; then
  if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm
  else
    echo "npm is needed for the tests with the TypeScript SDK; install Node 20 or newer and run make again" >&2
    exit 1
  fi
fi
cd "$1"
exec npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
