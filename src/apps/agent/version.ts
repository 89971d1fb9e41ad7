// SPDX-License-Identifier: Apache-2.0
import { VERSION } from '../../model/release.ts'

/** What is offered, and what offers it. */
export const DAEMON_VERSION = `${VERSION} cilium-ts ${process.version} ${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`
