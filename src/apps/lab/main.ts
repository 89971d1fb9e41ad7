// SPDX-License-Identifier: Apache-2.0
/** `cilium-lab`: a cluster of network namespaces on this machine. */
import { Command } from 'commander'
import { cni, down, kubeconfig, logs, nsenter, status, up } from './commands.ts'
import { serve } from './serve.ts'
import { Complaint, checkName, readSettings } from './settings.ts'
import { existingLabs } from './state.ts'

const collect = (value: string, held: readonly string[]): readonly string[] => [...held, value]
const program = new Command('cilium-lab')
  .description('A Kubernetes-compatible cluster of network namespaces on this machine, with Cilium on it')
  .showHelpAfterError()
  .enablePositionalOptions()

const named = (usage: string, about: string) =>
  program.command(usage).description(about).option('--name <name>', 'which of several labs', checkName, 'default')

named('up', 'Starts a lab and waits until it is ready; the last line printed is for the shell')
  .option('--nodes <n>', 'how many nodes, 1 to 20', '3')
  .option('--ipv6-only', 'no IPv4, neither nodes nor pods nor services')
  .option('--native-routing', 'packets between nodes are routed as they are, without a tunnel')
  .option('--image <NAME=PROGRAM>', 'runs a host program for an image; may be repeated', collect, [])
  .option('--set <KEY=VALUE>', 'a key of ConfigMap cilium-config; may be repeated', collect, [])
  .option('--bare', 'nodes and API only: no agent, operator and DNS')
  .action((typed: Parameters<typeof readSettings>[0]) => up(readSettings(typed)))

named('down', 'Ends a lab and removes all of it')
  .option('--all', 'every lab of this machine')
  .action((typed: { name: string; all?: boolean }) => down(typed.all ? existingLabs() : [typed.name]))

program
  .command('status')
  .description('Shows labs, their nodes, and what they wait for')
  .option('--name <name>', 'only this one', checkName)
  .action((typed: { name?: string }) => status(typed.name))

named('kubeconfig', 'Prints the path of the kubeconfig').action((typed: { name: string }) => kubeconfig(typed.name))

named('nsenter', 'Runs a host program in the network of NAMESPACE/POD, or in NODE')
  .argument('<where>', 'default/xwing or node-1')
  .argument('[command...]', 'the program and its arguments, after --')
  .passThroughOptions()
  .action(async (where: string, command: readonly string[], typed: { name: string }) => {
    process.exitCode = await nsenter(typed.name, where, command[0] === '--' ? command.slice(1) : command)
  })

named('cni', 'Prints NETCONFPATH=… CNI_PATH=… of a node, valid inside it (nsenter)')
  .argument('<node>')
  .action((node: string, typed: { name: string }) => cni(typed.name, node))

named('logs', 'Prints the log of the lab itself; pods have theirs in kubectl logs')
  .option('-f, --follow', 'and what comes')
  .action((typed: { name: string; follow?: boolean }) => {
    process.exitCode = logs(typed.name, typed.follow ?? false)
  })

program
  .command('serve', { hidden: true })
  .argument('<settings>')
  .action((settings: string) => serve(JSON.parse(settings)))

try {
  await program.parseAsync()
} catch (error) {
  console.error(error instanceof Complaint ? `cilium-lab: ${error.message}` : error)
  process.exitCode = 1
}
