// SPDX-License-Identifier: Apache-2.0

/** The release of Cilium whose interfaces these programs offer; also the chart's version. */
export const VERSION = '1.19.4'
