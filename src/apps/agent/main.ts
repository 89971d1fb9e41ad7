// SPDX-License-Identifier: Apache-2.0
import { optionDirectory } from '../../edge/disk/files.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import { VERSION } from '../../model/release.ts'
import { startAgent } from './agent.ts'
import { logger } from './log.ts'
import { agentHelp, readSettings } from './settings.ts'

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) return void process.stdout.write(agentHelp())
  if (args[0] === 'version' || args.includes('--version')) return void console.log(`cilium-agent ${VERSION}`)
  const read = () => readSettings({ args, env: process.env, directory: optionDirectory })
  const settings = read()
  if (!settings.ok) {
    console.error(`cilium-agent: ${settings.error.message}`)
    process.exit(1)
  }
  const log = logger(settings.value.options['debug'] === true)
  process.on('uncaughtException', (e) => {
    log('error', `crash: ${errorText(e)}`, { stack: e.stack })
    process.exit(70)
  })
  const agent = await startAgent(settings.value, log, read)
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => {
      log('info', 'stopping', { signal: name })
      void agent.close().then(() => process.exit(0))
    })
}

main().catch((e: unknown) => {
  console.error(`cilium-agent: ${errorText(e)}`)
  process.exit(1)
})
