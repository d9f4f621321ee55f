#!/usr/bin/env bash
# Make a virtual environment in the folder given, with the first fitting Python of this machine.
set -eu

venv=$1
without_venv=
for python in python3.13 python3.12 python3.11 python3 python; do
  command -v "$python" >/dev/null 2>&1 || continue
  # A name on the path may be a version switcher's stub, and python3 may be anything: ask it.
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue
  if "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    echo "making $venv with $("$python" --version)"
    exec "$python" -m venv "$venv"
  fi
  without_venv=$python
done

if [ -n "$without_venv" ]; then
  version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  echo "Python $version is here without its venv module; on Debian and Ubuntu: apt-get install python$version-venv" >&2
else
  echo "no Python 3.11 or newer found; install one (python3.11, python3.12 or python3.13) and run make again" >&2
fi
exit 1
