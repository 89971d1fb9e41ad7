// SPDX-License-Identifier: Apache-2.0
// The datapath on the kernels people run: `make test-kernels`; README.md has the rest.
//   main.ts test [LINE…]         the tests on Debian's kernels of these lines (6.1, 6.12, this), all by default
//   main.ts run LINE 'COMMAND'   any command, in a guest
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { kernelRelease } from '../../src/edge/kernel/features.ts'
import { runInGuest } from './guest.ts'
import { getKernel } from './kernel.ts'

const LINES = ['6.1', '6.12', 'this'] as const

/** What depends on the kernel: loading, attaching, what the agent says of it, packets, real traffic between two nodes. */
const FILES = [
  ...['attachments', 'features', 'probe', 'programs'].map((name) => `test/kernel/edge/${name}.test.ts`),
  'test/kernel/agent/kernel.test.ts',
  "'test/kernel/packets/*.test.ts'",
  "'test/kernel/traffic/*.test.ts'",
]
// Tests that wait for silence leave the one processor of a guest to others.
const testWith = (options: string): string =>
  `node_modules/.bin/node --test --test-concurrency=3 --test-reporter=spec ${options} ${FILES.join(' ')}`
/** Not in guests: processes are exchanged there within seconds, in which an emulated machine does not even start one. */
const TOO_QUICK = "--test-skip-pattern='while the agent keeps its sockets'"
/** What is compiled once is kept: reading a hundred files of TypeScript takes a process five seconds there. */
const GUEST_SETTINGS = 'export NO_COLOR=1 NODE_NO_WARNINGS=1 TEST_SILENCE_MS=3000 NODE_COMPILE_CACHE=/tmp/compiled'
/** What the kernel says of processes that crashed. */
const CRASHES = "dmesg | grep -E ' (segfault at|trap |traps:|general protection)' | grep -v default"
/** Seconds for a guest; three minutes are usual, on a busy machine it can be ten times that. */
const LIMIT = 3600

interface Outcome {
  readonly kernel: string
  readonly passed: number
  readonly failed: number
  readonly seconds: number
}

async function onKernel(line: string): Promise<Outcome> {
  const begin = performance.now()
  let text = ''
  const output = (part: string): void => {
    process.stdout.write(part)
    text += part
  }
  const guest = line === 'this' ? undefined : getKernel(line)
  const kernel = guest?.release ?? kernelRelease()
  console.log(`\n== Linux ${kernel}${guest ? ' in a guest' : ', this machine’s'}`)
  const status = guest
    ? await runInGuest(guest, `${GUEST_SETTINGS}\n${testWith(TOO_QUICK)}\nstatus=$?\n${CRASHES}\nexit $status`, {
        limit: LIMIT,
        output,
      })
    : await here(output)
  const count = (word: string): number => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  const [passed, failed] = [count('pass'), count('fail')]
  const ended = status === 0 || failed > 0
  return { kernel, passed, failed: ended ? failed : 1, seconds: Math.round((performance.now() - begin) / 1000) }
}

const here = (output: (text: string) => void): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', testWith('')], {
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child.stdout.setEncoding('utf8').on('data', output)
    child.once('error', reject).once('close', (code) => resolve(code ?? 1))
  })

const [verb, ...rest] = process.argv.slice(2)
if (verb === 'run' && rest.length === 2) {
  const output = (text: string): void => void process.stdout.write(text)
  process.exit(await runInGuest(getKernel(rest[0]!), rest[1]!, { limit: LIMIT, output }))
} else if (verb === 'test') {
  const outcomes: Outcome[] = []
  for (const line of rest.length > 0 ? rest : LINES) outcomes.push(await onKernel(line))
  console.log('')
  for (const { kernel, passed, failed, seconds } of outcomes)
    console.log(`Linux ${kernel}: ${passed} passed, ${failed} failed, ${seconds} s`)
  process.exit(outcomes.every(({ passed, failed }) => passed > 0 && failed === 0) ? 0 : 1)
} else {
  console.error("use: main.ts test [LINE…] or main.ts run LINE 'COMMAND'")
  process.exit(2)
}
