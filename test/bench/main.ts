// SPDX-License-Identifier: Apache-2.0
/** `make bench`: every section, printed as a table with the goals beside, and written to bench.json. */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { Figure } from './figure.ts'
import { sections } from './sections.ts'

const names = sections.map((s) => s.name).join(', ')
const usage = `usage: make bench [ONLY=section,…]
       node test/bench/main.ts [--only section,…] [--help]
sections: ${names}`
const { only } = chosen(process.argv.slice(2))

/** What the command line asks for; ends the process where that is not a run. */
function chosen(args: string[]): { readonly only: readonly string[] | undefined } {
  const refuse = (message: string): never => {
    console.error(`bench: ${message}\n${usage}`)
    process.exit(2)
  }
  try {
    const { values } = parseArgs({ args, options: { only: { type: 'string' }, help: { type: 'boolean', short: 'h' } } })
    if (values.help) {
      console.log(usage)
      process.exit(0)
    }
    const only = values.only?.split(',')
    const unknown = only?.filter((name) => !sections.some((s) => s.name === name)) ?? []
    return unknown.length > 0 ? refuse(`no section is called ${unknown.join(', ')}`) : { only }
  } catch (e) {
    return refuse((e as Error).message)
  }
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
