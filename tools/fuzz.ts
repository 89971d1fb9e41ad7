// SPDX-License-Identifier: Apache-2.0
/**
 * The random tests of policies at the size of a night: `make fuzz [CASES=1000000] [PART=name] [SEED=number]`. At least CASES
 * questions to derivation, kernel and explain, each against the reference model; CASES / 10 damaged policies; CASES / 100
 * random sets of HTTP rules through the real Envoy and through explain; ten times as many damaged messages of the DNS. A
 * failure prints the seed and path that make it happen again; shrunk, it becomes a scenario. Every run is another one
 * unless it is given the SEED of one before.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const cases = Number(process.env['CASES'] ?? 1_000_000)
if (!(cases >= 1000)) throw new Error('CASES is a number of at least 1000')
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
if (!Number.isInteger(seed)) throw new Error('SEED is a whole number')

/** A history asks a thousand questions and more; more histories find more than more questions of each. */
const histories = String(Math.ceil(cases / 500))
const sets = String(Math.max(1_000, Math.ceil(cases / 100)))

const parts: readonly (readonly [name: string, file: string, settings: { readonly [name: string]: string }])[] = [
  ['derivation', 'test/model/policy.test.ts', { POLICY_RUNS: histories }],
  ['kernel', 'test/kernel/packets/policy.test.ts', { POLICY_PACKETS: String(cases) }],
  ['explain', 'test/model/questions.test.ts', { POLICY_RUNS: histories }],
  ['requests', 'test/model/requests.test.ts', { REQUEST_SETS: sets, REQUEST_SEED: String(seed) }],
  ['mutations', 'test/model/mutations.test.ts', { MUTATIONS: String(Math.ceil(cases / 10)) }],
  ['names', 'test/model/names.test.ts', { POLICY_RUNS: histories }],
  ['dns', 'src/protocol/dns/dns.test.ts', { DNS_MESSAGES: String(cases * 10), DNS_SEED: String(seed) }],
  ['envoy', 'test/cluster/l7/random.test.ts', { CILIUM_L7_SETS: sets, CILIUM_L7_SEED: String(seed) }],
]
const only = process.env['PART']
const wanted = parts.filter(([name]) => only === undefined || name === only)
if (wanted.length === 0) throw new Error(`PART is one of: ${parts.map(([name]) => name).join(', ')}`)

/** Runs one part; what it says comes at its end, in one piece. */
function run([name, file, settings]: (typeof parts)[number]): Promise<boolean> {
  const began = performance.now()
  const child = spawn(process.execPath, ['--import', join(import.meta.dirname, 'fuzz-seed.ts'), '--test', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...settings, FUZZ_SEED: String(seed) },
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  return new Promise((resolve) =>
    child.on('close', (code) => {
      const took = ((performance.now() - began) / 1000).toFixed(0)
      console.log(`${said.trimEnd()}\n\n${name}: ${code === 0 ? 'passed' : 'FAILED'}, ${took} s\n`)
      resolve(code === 0)
    }),
  )
}

console.log(`SEED=${seed} makes this run again\n`)
let passed = true
const queue = [...wanted]
// Two at a time.
await Promise.all(
  [0, 1].map(async () => {
    for (let next = queue.shift(); next; next = queue.shift()) passed = (await run(next)) && passed
  }),
)
process.exit(passed ? 0 : 1)
