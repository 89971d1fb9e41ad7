// SPDX-License-Identifier: Apache-2.0

export type Level = 'debug' | 'info' | 'warning' | 'error'
export type Log = (level: Level, message: string, fields?: object) => void

/** One line of JSON for each event, on standard output. */
export function logger(debug: boolean): Log {
  return (level, msg, fields = {}) => {
    if (level === 'debug' && !debug) return
    process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, msg, ...fields })}\n`)
  }
}
