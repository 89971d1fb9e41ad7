// SPDX-License-Identifier: Apache-2.0
/** `cilium-dbg`, also called `cilium` inside the agent's container: shows what an agent knows and does. */
import { Command } from 'commander'
import { agentAt } from './agent.ts'

const program = new Command('cilium-dbg')
  .description('Shows and changes what the agent of this node knows')
  .option('-H, --host <socket>', 'the agent’s socket', process.env['CILIUM_SOCK'] ?? '/var/run/cilium/cilium.sock')
  .option('--config <file>', 'accepted for compatibility; nothing is read from it')
  .option('--bpf-root <dir>', 'the BPF file system of the node', '/sys/fs/bpf')
  .option('-D, --debug', 'also prints where an error came from')
  .showHelpAfterError()

interface Common {
  readonly output?: string
}
const socket = () => (program.opts() as { host: string }).host.replace(/^unix:\/\//, '')
const agent = () => agentAt(socket())

const root = () => (program.opts() as { bpfRoot: string }).bpfRoot

/** A command that only shows: takes `-o json` and `-o jsonpath=…`. */
function shows(parent: Command, usage: string, about: string): Command {
  return parent.command(usage).description(about).option('-o, --output <form>', 'json or jsonpath=TEMPLATE')
}

const endpoint = program.command('endpoint').description('Endpoints of this node')
shows(endpoint, 'list', 'All endpoints')
  .option('--no-headers', 'without the heading')
  .action(async (o: Common & { headers: boolean }) =>
    (await import('./endpoint.ts')).list(agent(), o.output, o.headers),
  )
shows(endpoint, 'get <id>', 'One endpoint, by number, pod-name:ns:name, ipv4:… or container-id:…').action(
  async (id: string, o: Common) => (await import('./endpoint.ts')).get(agent(), id, o.output),
)
shows(endpoint, 'health <id>', 'Whether an endpoint works').action(async (id: string, o: Common) =>
  (await import('./endpoint.ts')).health(agent(), id, o.output),
)
shows(endpoint, 'log <id>', 'What happened to an endpoint').action(async (id: string, o: Common) =>
  (await import('./endpoint.ts')).log(agent(), id, o.output),
)

shows(endpoint, 'config <id> [changes...]', 'Options of an endpoint, or change them: PolicyAuditMode=enable').action(
  async (id: string, changes: string[], o: Common) =>
    (await import('./config.ts')).ofEndpoint(agent(), id, changes, o.output),
)

const identity = program.command('identity').description('Security identities')
shows(identity, 'list', 'All identities this agent knows').action(async (o: Common) =>
  (await import('./lists.ts')).identities(agent(), o.output),
)
shows(identity, 'get <id>', 'The labels of one identity').action(async (id: string, o: Common) =>
  (await import('./lists.ts')).identity(agent(), id, o.output),
)

const fqdn = program.command('fqdn').description('Names that pods of this node asked for')
const fqdnCache = fqdn.command('cache').description('What answers of the DNS told')
shows(fqdnCache, 'list', 'All that is known')
  .option('-e, --endpoint <id>', 'only of this endpoint')
  .option('-p, --matchpattern <pattern>', 'only names that a matchPattern means')
  .option('-s, --source <source>', 'lookup: within the time to live; connection: kept because it is used')
  .action(async (o: import('./names.ts').CacheOptions) => (await import('./names.ts')).list(agent(), o))
fqdnCache
  .command('clean')
  .description('Forgets names: what no new answer brings back is not allowed by them any more')
  .option('-f, --force', 'do not ask')
  .option('-p, --matchpattern <pattern>', 'only names that a matchPattern means')
  .action(async (o: import('./names.ts').CleanOptions) => (await import('./names.ts')).clean(agent(), o))
shows(fqdn, 'names', 'The rules that mean names').action(async (o: Common) =>
  (await import('./names.ts')).names(agent(), o.output),
)

const policy = program.command('policy').description('Policies')
shows(policy, 'get [labels...]', 'The rules in force').action(async (labels: string[], o: Common) =>
  (await import('./lists.ts')).policy(agent(), labels, o.output),
)
shows(policy, 'selectors', 'Selectors and the identities they select')
  .option('-v, --verbose', 'accepted for compatibility')
  .action(async (o: Common) => (await import('./lists.ts')).selectors(agent(), o.output))
policy
  .command('import <path>')
  .description('Rules from a JSON file or a directory of them')
  .option('--replace', 'instead of all that was imported before')
  .option('--replace-with-labels <label...>', 'instead of what was imported under these labels')
  .option('--print', 'also prints the rules as the agent took them')
  .action(async (path: string, o: import('./policy.ts').ImportOptions) =>
    (await import('./policy.ts')).importRules(agent(), path, o),
  )
policy
  .command('delete [labels...]')
  .option('--all', 'all imported rules')
  .description('Removes imported rules by their labels')
  .action(async (labels: string[], o: { all?: boolean }) =>
    (await import('./policy.ts')).deleteRules(agent(), labels, o.all ?? false),
  )
policy
  .command('wait <revision>')
  .option('--max-wait-time <seconds>', 'how long', '360')
  .description('Until all endpoints enforce a revision')
  .action(async (revision: string, o: { maxWaitTime: string }) =>
    (await import('./policy.ts')).wait(agent(), Number(revision), Number(o.maxWaitTime)),
  )

/** A question about policies: of the live cluster, or with --cluster of manifests and nothing else. */
const asks = (usage: string, about: string): Command =>
  shows(policy, usage, about).option('--cluster <path...>', 'files or folders of manifests instead of the live cluster')
/** Options for the request that goes over the connection. */
const ofRequest = (command: Command): Command =>
  command
    .option('--method <method>', 'of an HTTP request, GET if only its path is given')
    .option('--path <path>', 'of an HTTP request')
    .option('--http-host <name>', 'whom an HTTP request asks')
    .option('--header <line...>', 'of an HTTP request, as in "X-Token: secret"')
    .option('--sni <name>', 'the server that TLS is spoken to')
    .option('--dns <name>', 'a name that is asked for; at port 53/UDP if no other is given')

ofRequest(asks('explain', 'What policies say of a connection, and why'))
  .option('--from <party>', 'namespace/pod, workload or service, labels, an address, a prefix or an entity')
  .option('--to <party>', 'the same')
  .option('-p, --port <port>', 'as in 80/TCP, http or 8/ICMP')
  .option(
    '--questions <file>',
    'one question a line as JSON: from, to, port, protocol, icmpType, method, path, host, headers, sni, dns; - is standard input',
  )
  .action(async (o: import('./questions/commands.ts').ExplainOptions) =>
    (await import('./questions/commands.ts')).explainCommand(o),
  )

ofRequest(asks('what-if', 'Which connections change verdict when policies are added, changed or deleted'))
  .option('-f, --file <path...>', 'files or folders of what is added or changed')
  .option('--delete <name...>', 'policies to delete: name, namespace/name or kind/namespace/name')
  .action(async (o: import('./questions/commands.ts').WhatIfOptions) =>
    (await import('./questions/commands.ts')).whatIfCommand(o),
  )
asks('matrix', 'Who reaches whom, by workload').action(async (o: import('./questions/commands.ts').Common) =>
  (await import('./questions/commands.ts')).matrixCommand(o),
)
asks('shadowed', 'Rules that can never decide').action(async (o: import('./questions/commands.ts').Common) =>
  (await import('./questions/commands.ts')).shadowedCommand(o),
)
asks('test', 'Runs unit tests of policies')
  .option('-f, --file <path...>', 'files of cases: from, to, port, expect, rule')
  .option('--junit <file>', 'also writes the results in the form of JUnit')
  .action(async (o: import('./questions/commands.ts').TestOptions) =>
    (await import('./questions/commands.ts')).testCommand(o),
  )
asks('validate [path...]', 'What is wrong with policies, where it is written, and how to mend it')
  .option('-f, --file <path...>', 'files or folders of policies, with or without the pods they are about')
  .action(async (paths: string[], o: import('./questions/commands.ts').ValidateOptions) =>
    (await import('./questions/commands.ts')).validateCommand(paths.length > 0 ? { ...o, file: paths } : o),
  )
for (const [which, about] of [
  ['hits', 'Packets and bytes that each rule has decided on this node'],
  ['unused', 'Rules of this node that have decided nothing so far'],
] as const)
  asks(which, about).action(async (o: import('./questions/commands.ts').Common) =>
    (await import('./questions/commands.ts')).countersCommand(which, agent(), root(), o),
  )

shows(program, 'status', 'How the agent is')
  .option('--brief', 'one word')
  .option('--verbose', 'everything')
  .option('--all-addresses', 'allocated addresses')
  .option('--all-controllers', 'also those that are well')
  .option('--all-health', 'accepted for compatibility')
  .option('--all-nodes', 'accepted for compatibility')
  .option('--all-redirects', 'accepted for compatibility')
  .option('--all-clusters', 'accepted for compatibility')
  .option('--timeout <duration>', 'accepted for compatibility')
  .action(async (o) => {
    process.exitCode = await (await import('./status.ts')).status(agent(), o)
  })
const config = shows(program, 'config [changes...]', 'Options, or change them: NAME=enable')
  .option('-a, --all', 'also what is fixed at start')
  .option('-r, --read-only', 'only what is fixed at start')
  .action(async (changes: string[], o: { all?: boolean; readOnly?: boolean; output?: string }) => {
    const room = await import('./config.ts')
    if (changes.length > 0) await room.set(agent(), changes)
    else await room.config(agent(), o)
  })
config.command('get <name>').action(async (name: string) => (await import('./config.ts')).one(agent(), name))

shows(program.command('node').description('Nodes of the cluster'), 'list', 'All nodes').action(async (o: Common) =>
  (await import('./lists.ts')).nodes(agent(), o.output),
)
shows(program.command('ip').description('Addresses and their identities'), 'list', 'All addresses').action(
  async (o: Common) => (await import('./lists.ts')).addresses(agent(), o.output),
)
shows(program.command('service').description('Services'), 'list', 'All services')
  .option('--clustermesh-affinity', 'accepted for compatibility')
  .action(async (o: Common) => (await import('./lists.ts')).services(agent(), o.output))
shows(program.command('metrics').description('Metrics'), 'list', 'All metrics')
  .option('-p, --match-pattern <regex>', 'only metrics whose name matches')
  .action(async (o: Common & { matchPattern?: string }) =>
    (await import('./lists.ts')).metrics(agent(), o.matchPattern, o.output),
  )

const map = program.command('map').description('BPF maps')
shows(map, 'list', 'All maps')
  .option('--verbose', 'accepted for compatibility')
  .action(async (o: Common) => (await import('./lists.ts')).maps(agent(), o.output))
shows(map, 'get <name>', 'The entries of a map').action(async (name: string, o: Common) =>
  (await import('./lists.ts')).map(agent(), name, o.output),
)

const bpf = program.command('bpf').description('What is in the kernel')
for (const [noun, verb, about] of [
  ['ipcache', 'list', 'Addresses and their identities'],
  ['endpoint', 'list', 'Local endpoints by address'],
  ['ct', 'list [scope] [id]', 'Tracked connections: global, or of one endpoint'],
  ['nat', 'list', 'Translated connections'],
  ['lb', 'list', 'Services and their backends'],
  ['metrics', 'list', 'Packets by reason'],
  ['config', 'list', 'Constants the programs were loaded with'],
] as const) {
  const at = bpf.command(noun).description(about)
  const command = shows(at, verb, about)
    .option('-d, --time-diff', 'accepted for compatibility')
    .option('--backends', 'lb: by backend')
    .option('--frontends', 'lb: by frontend')
    .option('--revnat', 'lb: reverse translation')
  command.action(async (...args: unknown[]) => {
    const o = command.opts() as Common
    await (await import('./bpf.ts')).show(
      agent(),
      noun,
      args.filter((a): a is string => typeof a === 'string'),
      o.output,
      root(),
    )
  })
}
const bpfPolicy = bpf.command('policy').description('Decision tables of endpoints')
shows(bpfPolicy, 'get [endpoint]', 'What an endpoint allows and denies, and how often')
  .option('--all', 'of all endpoints')
  .option('-n, --numeric', 'identities as numbers')
  .action(async (id: string | undefined, o: Common & { all?: boolean; numeric?: boolean }) =>
    (await import('./decisions.ts')).policy(agent(), o.all ? undefined : id, o, root()),
  )

program
  .command('monitor')
  .description('Events of the datapath as they happen')
  .option('-t, --type <type...>', 'drop, trace, policy-verdict, trace-sock')
  .option('-j, --json', 'one JSON object a line')
  .option('--from <endpoint...>', 'only from these endpoints')
  .option('--to <endpoint...>', 'only to these endpoints')
  .option('--related-to <endpoint...>', 'only of these endpoints')
  .option('--timeout <seconds>', 'how long, without end if not given')
  .option('-n, --numeric', 'accepted for compatibility')
  .option('-v, --verbose', 'accepted for compatibility')
  .action(async (o) => (await import('./monitor.ts')).monitor(agent(), o))

const envoyAdmin = program
  .command('envoy')
  .description('The Envoy of this node')
  .command('admin')
  .description('What its administration says')
for (const [usage, about] of [
  ['certs', 'Certificates it has'],
  ['clusters', 'Where it sends requests'],
  ['listeners', 'Where it listens'],
  ['serverinfo', 'What it is, and since when'],
] as const)
  envoyAdmin
    .command(usage)
    .description(about)
    .action(async () => (await import('./envoy.ts')).admin(socket(), usage, '', {}))
envoyAdmin
  .command('metrics')
  .alias('stats')
  .description('Its counters')
  .option('-f, --filter <expression>', 'only those whose names match')
  .action(async (o: { filter?: string }) => (await import('./envoy.ts')).admin(socket(), 'metrics', '', o))
envoyAdmin
  .command('config [kind]')
  .description('Its configuration: all, clusters, endpoints, listeners, routes, secrets')
  .option('-n, --name <expression>', 'only what has such a name')
  .action(async (kind: string | undefined, o: { name?: string }) =>
    (await import('./envoy.ts')).admin(socket(), 'config', kind ?? 'all', o),
  )

program
  .command('post-uninstall-cleanup')
  .description('Removes from this node what outlives the agent')
  .option('--all-state', 'everything; so does no choice at all')
  .option('--bpf-state', 'only programs and maps')
  .option('-f, --force', 'do not ask')
  .option('--root <dir>', 'where the node’s file system is seen', '/')
  .action(async (o: import('./cleanup.ts').CleanupOptions) =>
    (await import('./cleanup.ts')).cleanup(agent(), root(), o),
  )

shows(program, 'debuginfo', 'All a report needs').action(async (o: Common) =>
  (await import('./debuginfo.ts')).debuginfo(agent(), o.output),
)
shows(program, 'version', 'Versions of client and agent').action(async (o: Common) =>
  (await import('./version.ts')).version(agent(), o.output),
)

try {
  await program.parseAsync()
} catch (e) {
  const debug = (program.opts() as { debug?: boolean }).debug
  process.stderr.write(`Error: ${e instanceof Error ? (debug ? e.stack : e.message) : e}\n`)
  process.exitCode = 1
}
