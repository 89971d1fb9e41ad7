// SPDX-License-Identifier: Apache-2.0

const names: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}
const limits = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const
const minute = 60_000
/** Far enough for 29 February on a given weekday. */
const horizon = 366 * 24 * 60 * 30

/** The first time after `after` (ms, UTC) that a five-field cron schedule names; undefined when it is malformed or never comes. */
export const nextTime = (schedule: string, after: number): number | undefined => {
  const fields = (names[schedule.trim()] ?? schedule).trim().split(/\s+/)
  const sets = fields.map((f, i) => valuesOf(f, limits[i]?.[0] ?? 0, limits[i]?.[1] ?? 0))
  const [minutes, hours, days, months, weekdays] = sets
  if (fields.length !== 5 || !minutes || !hours || !days || !months || !weekdays) return undefined
  const eitherDay = fields[2] !== '*' && fields[4] !== '*'
  let at = Math.floor(after / minute) * minute + minute
  for (let i = 0; i < horizon; i++) {
    const t = new Date(at)
    const onDay = days.has(t.getUTCDate())
    const onWeekday = weekdays.has(t.getUTCDay()) || (t.getUTCDay() === 0 && weekdays.has(7))
    const dayFits = eitherDay ? onDay || onWeekday : onDay && onWeekday
    if (!months.has(t.getUTCMonth() + 1) || !dayFits) at = Math.floor(at / 86_400_000) * 86_400_000 + 86_400_000
    else if (!hours.has(t.getUTCHours())) at = Math.floor(at / 3_600_000) * 3_600_000 + 3_600_000
    else if (!minutes.has(t.getUTCMinutes())) at += minute
    else return at
  }
  return undefined
}

const valuesOf = (field: string, low: number, high: number): ReadonlySet<number> | undefined => {
  const values = new Set<number>()
  for (const part of field.split(',')) {
    const m = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part)
    if (!m) return undefined
    const from = m[1] === undefined ? low : Number(m[1])
    const to = m[2] !== undefined ? Number(m[2]) : m[1] === undefined || m[3] !== undefined ? high : from
    const step = Number(m[3] ?? 1)
    if (from < low || to > high || step < 1) return undefined
    for (let v = from; v <= to; v += step) values.add(v)
  }
  return values
}
