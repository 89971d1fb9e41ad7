// SPDX-License-Identifier: Apache-2.0
// The datapath on the kernels people run: `make test-kernels`; README.md has the rest.
//   main.ts test [LINE…]         the tests on Debian's kernels of these lines (6.1, 6.12, this), all by default
//   main.ts run LINE 'COMMAND'   any command, in a guest
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { kernelRelease } from '../../src/edge/kernel/features.ts'
import { runInGuest } from './guest.ts'
import { getKernel, type Kernel } from './kernel.ts'

const LINES = ['6.1', '6.12', 'this'] as const

/** What depends on the kernel: loading, attaching, what the agent says of it, packets, real traffic between two nodes. */
const FILES = [
  ...['attachments', 'features', 'probe', 'programs'].map((name) => `test/kernel/edge/${name}.test.ts`),
  'test/kernel/agent/kernel.test.ts',
  "'test/kernel/packets/*.test.ts'",
  "'test/kernel/traffic/*.test.ts'",
]
const testWith = (options: string): string =>
  `node_modules/.bin/node --test --test-reporter=spec ${options} ${FILES.join(' ')}`
/** Not in guests: processes are exchanged there within seconds, in which an emulated machine does not even start one. */
const TOO_QUICK = "--test-skip-pattern='while the agent keeps its sockets'"
/** Files at once: in a guest tests wait longer for silence, and leave its one processor to others meanwhile. */
const AT_ONCE = { here: '--test-concurrency=2', guest: '--test-concurrency=3' }
/** What is compiled once is kept: reading a hundred files of TypeScript takes a process five seconds there. */
const GUEST_SETTINGS = 'export NO_COLOR=1 NODE_NO_WARNINGS=1 TEST_SILENCE_MS=3000 NODE_COMPILE_CACHE=/tmp/compiled'
/** What the kernel says of processes that crashed. */
const CRASHES = "dmesg | grep -E ' (segfault at|trap |traps:|general protection)' | grep -v default"
/** Seconds for a guest: several times what it takes where nothing else runs. */
const LIMIT = 3600

interface Outcome {
  readonly kernel: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
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
  const status = guest ? await inGuest(guest, output) : await here(output)
  const count = (word: string): number => Number(new RegExp(`^ℹ ${word} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
  const [passed, failed, skipped] = [count('pass'), count('fail'), count('skipped')]
  const ended = status === 0 || failed > 0
  return {
    kernel,
    passed,
    failed: ended ? failed : 1,
    skipped,
    seconds: Math.round((performance.now() - begin) / 1000),
  }
}

/** A guest that is ended too early is a failure of this kernel; the next one still has its turn. */
const inGuest = (guest: Kernel, output: (text: string) => void): Promise<number> =>
  runInGuest(
    guest,
    `${GUEST_SETTINGS}\n${testWith(`${TOO_QUICK} ${AT_ONCE.guest}`)}\nstatus=$?\n${CRASHES}\nexit $status`,
    { limit: LIMIT, output },
  ).catch((error: unknown) => {
    output(`\n${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  })

const here = (output: (text: string) => void): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', testWith(AT_ONCE.here)], {
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
  for (const { kernel, passed, failed, skipped, seconds } of outcomes)
    console.log(`Linux ${kernel}: ${passed} passed, ${failed} failed, ${skipped} skipped, ${seconds} s`)
  process.exit(outcomes.every(({ passed, failed }) => passed > 0 && failed === 0) ? 0 : 1)
} else {
  console.error("use: main.ts test [LINE…] or main.ts run LINE 'COMMAND'")
  process.exit(2)
}
