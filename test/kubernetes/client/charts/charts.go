// SPDX-License-Identifier: Apache-2.0

// Package charts stands for the module of released charts, which no module proxy holds and the client only lists names
// from when it is given a chart's folder.
package charts

import "testing/fstest"

// HelmFS names a release without its bytes: the client ends at start if there is none.
var HelmFS = fstest.MapFS{"cilium-1.20.2.tgz": {}}
