// SPDX-License-Identifier: Apache-2.0
/**
 * The random tests of policies at the size of a night: `make fuzz [CASES=1000000]`. About CASES questions to derivation,
 * kernel and explain, each against the reference model; CASES / 10 damaged policies. A failure prints the seed and path
 * that make it happen again; shrunk, it becomes a scenario. And ten times as many damaged messages of the DNS; CASES / 100
 * random sets of HTTP rules through the real Envoy.
 */
import { spawn } from 'node:child_process'

const cases = Number(process.env['CASES'] ?? 1_000_000)
if (!(cases >= 1000)) throw new Error('CASES is a number of at least 1000')

const files = [
  'test/model/policy.test.ts',
  'test/model/questions.test.ts',
  'test/model/mutations.test.ts',
  'test/kernel/packets/policy.test.ts',
  'src/protocol/dns/dns.test.ts',
  'test/cluster/l7/random.test.ts',
]
/** A history asks some hundreds of questions; measured, not promised: the tests count them. */
const questionsOfHistory = 300

const child = spawn(process.execPath, ['--test', '--test-concurrency=2', ...files], {
  stdio: 'inherit',
  env: {
    ...process.env,
    POLICY_RUNS: String(Math.ceil(cases / questionsOfHistory)),
    POLICY_PACKETS: String(cases),
    MUTATIONS: String(Math.ceil(cases / 10)),
    CILIUM_L7_SETS: String(Math.max(1_000, Math.ceil(cases / 100))),
    CILIUM_L7_SEED: String(Math.floor(Math.random() * 0x100000000)),
    DNS_MESSAGES: String(cases * 10),
    DNS_SEED: String(Math.floor(Math.random() * 0x100000000)),
  },
})
child.on('close', (code) => process.exit(code ?? 1))
