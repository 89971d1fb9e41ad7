// SPDX-License-Identifier: Apache-2.0
/** `make bench`: every section, printed as a table with the goals beside, and written to bench.json. */
import { writeFileSync } from 'node:fs'
import type { Figure } from './figure.ts'
import { sections } from './sections.ts'

const at = process.argv.indexOf('--only')
const only = at < 0 ? undefined : process.argv[at + 1]?.split(',')
const unknown = only?.filter((name) => !sections.some((s) => s.name === name)) ?? []
if (unknown.length > 0) {
  console.error(
    `no section of the bench is called ${unknown.join(', ')}; there are ${sections.map((s) => s.name).join(', ')}`,
  )
  process.exit(2)
}

const round = (n: number): string =>
  Math.abs(n) >= 100 ? n.toFixed(0) : Math.abs(n) >= 10 ? n.toFixed(1) : n.toFixed(3)
const figures: Figure[] = []
const report = (f: Figure): void => {
  figures.push(f)
  const ratio = f.ratio === undefined ? '' : `ratio ${f.ratio.toFixed(3)} of ${round(f.baseline ?? Number.NaN)}`
  const goal = f.goal === undefined ? '' : `goal ${f.higher ? '≥' : '≤'} ${f.goal}  ${f.met ? 'met' : 'MISSED'}`
  console.log(`${f.name.padEnd(52)} ${`${round(f.value)} ${f.unit}`.padEnd(20)} ${ratio.padEnd(24)} ${goal}`)
}

let broken = 0
for (const section of sections.filter((s) => only === undefined || only.includes(s.name))) {
  console.log(`\n== ${section.name}`)
  try {
    await section.run(report)
  } catch (error) {
    broken += 1
    console.error(`section ${section.name} could not be measured: ${error instanceof Error ? error.message : error}`)
  }
}
writeFileSync('bench.json', `${JSON.stringify(figures, undefined, 1)}\n`)
const judged = figures.filter((f) => f.met !== undefined)
console.log(`\n${judged.filter((f) => f.met).length} of ${judged.length} goals met; written to bench.json`)
process.exit(broken === 0 ? 0 : 1)
