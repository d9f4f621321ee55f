#!/usr/bin/env bash
# See that this machine has a Redis or Valkey server for the tests that start one; nothing is started here.
set -eu

if command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1; then
  exit 0
fi
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
  apt-get update -qq
  # At run level 1 the package does not start its service.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends redis-server
else
  echo "redis-server is needed for the tests of a shared state; install Redis or Valkey 7 or newer and run make again" >&2
  exit 1
fi
