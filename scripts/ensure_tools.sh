#!/usr/bin/env bash
# See that this machine has what the tests of a shared state start, and curl; nothing is started here.
set -eu

missing=()
command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1 || missing+=(redis-server)
command -v curl >/dev/null 2>&1 || missing+=(curl)
[ ${#missing[@]} -gt 0 ] || exit 0

if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  # At run level 1 a package does not start its service.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
  echo "${missing[*]} needed by make test-all; install it (Redis or Valkey 7 or newer) and run make again" >&2
  exit 1
fi
