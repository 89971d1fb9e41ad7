// SPDX-License-Identifier: Apache-2.0

/** The release of Cilium whose interfaces this one offers, and our own build. */
export const VERSION = '1.19.4'
export const DAEMON_VERSION = `${VERSION} cilium-ts ${process.version} ${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`
