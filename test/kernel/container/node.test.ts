// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { runToEnd } from '../../../src/apps/lab/kubelet/node.ts'
import { shell, testNode } from './fixture.ts'

const env = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin']
const image = '/run/lab/image'
let node: Awaited<ReturnType<typeof testNode>>

before(async () => {
  node = await testNode('native')
})
after(() => node.end())

const contained = (command: string, more = {}) =>
  runToEnd(node, { root: image, arg: ['sh', '-c', command], env, ...more })

test('a node has its own name, processes, network, bpffs and runtime directories, and sees the cgroup trees', async () => {
  const { stdout } = await shell(
    node,
    'hostname; cat /proc/1/comm; ls /sys/class/net; ls /run /var/run; stat -fc %T /sys/fs/bpf; ls /sys/fs/cgroup',
  )
  assert.match(stdout, /^native\nlab-node-init\nlo\n/)
  assert.match(stdout, /\/run:\n(.*\n)*netns\n/)
  assert.match(stdout, /\/var\/run:\n(.*\n)*netns\n/)
  assert.match(stdout, /bpf_fs/)
  assert.ok(!existsSync(node.path('/run/cilium-lab')))
})

test('what a node or a container writes does not reach the host', async () => {
  const name = `/etc/written-by-test-${process.pid}`
  assert.equal((await shell(node, `echo node > ${name}`)).code, 0)
  assert.equal(
    (await contained(`echo container > ${name}; mkdir /new; rm -r /usr/share/zoneinfo; test ! -e /usr/share/zoneinfo`))
      .code,
    0,
  )
  assert.equal(existsSync(name), false)
  assert.equal(existsSync('/new'), false)
  assert.equal(existsSync('/usr/share/zoneinfo'), true)
  assert.equal(readFileSync(node.path(name), 'utf8'), 'node\n')
})

test('a container is process 1 with only loopback of the pod, and its exit code and signal are told', async () => {
  await node.sandbox({ name: 'cni-a', hostname: 'pod-a' })
  const own = { net: '/run/netns/cni-a', uts: '/run/sandbox/cni-a.uts', ipc: '/run/sandbox/cni-a.ipc' }
  const { code, stdout } = await contained('echo $$; hostname; ls /sys/class/net; exit 7', own)
  assert.deepEqual([code, stdout], [7, '1\npod-a\nlo\n'])
  const killed = await node.run({ root: image, arg: ['sleep', '100'], env, ...own })
  killed.signal(9)
  assert.deepEqual(await killed.ended, { code: 137, signal: 9 })
  await node.unsandbox('cni-a')
  assert.equal((await shell(node, 'ls /run/netns /run/sandbox')).stdout.includes('cni-a'), false)
})

test('a container keeps only the capabilities it is given, and a user is who it says', async () => {
  const { stdout } = await contained('id -u; id -G; grep CapEff /proc/self/status', { caps: '400' })
  assert.equal(stdout, '0\n0\nCapEff:\t0000000000000400\n')
  const user = await contained('id -u; id -g; id -G', { uid: 1000, gid: 2000, group: ['2000', '3000'], caps: '400' })
  assert.equal(user.stdout, '1000\n2000\n2000 3000\n')
})

test('volumes: read-only, propagated from the node, created by type, optional, and a wrong type is refused', async () => {
  await shell(node, 'mkdir -p /srv/data/deep; echo hello > /srv/data/file')
  const bind = [
    '/srv/data\x1f/mnt/ro\x1fro',
    '/srv/data/file\x1f/etc/resolv.conf\x1f',
    '/srv/fresh\x1f/fresh\x1fDirectory-or-create',
  ]
  const { stdout } = await contained(
    'cat /mnt/ro/file /etc/resolv.conf; touch /mnt/ro/x 2>&1 || echo refused; touch /fresh/made',
    { bind },
  )
  assert.match(stdout, /^hello\nhello\n.*\nrefused\n$/)
  assert.ok(existsSync(node.path('/srv/fresh/made')))
  const refused = node.run({ root: image, arg: ['true'], env, bind: ['/srv/data\x1f/x\x1fFile'] })
  await assert.rejects(refused, /hostPath type check failed: \/srv\/data is not a file/)
  await assert.rejects(node.run({ root: image, arg: ['true'], env, bind: ['/srv/none\x1f/x\x1f'] }), /No such file/)
})

test('a namespace that appears in the node after the container started is seen through HostToContainer propagation', async () => {
  const bind = ['/run/netns\x1f/var/run/netns\x1fslave']
  const program = await node.run({
    root: image,
    env,
    bind,
    in: true,
    arg: ['sh', '-c', 'read x; stat -fc %T /var/run/netns/cni-late'],
  })
  let said = ''
  program.onOutput((_, data) => (said += data))
  await node.sandbox({ name: 'cni-late' })
  program.write(Buffer.from('go\n'))
  await program.ended
  assert.match(said, /nsfs/)
  await node.unsandbox('cni-late')
})

test('a mount made in a Bidirectional volume appears in the node, others do not', async () => {
  await shell(node, 'mkdir -p /srv/shared /srv/own')
  const bind = ['/srv/shared\x1f/a\x1fshared', '/srv/own\x1f/b\x1f']
  const program = await node.run({
    root: image,
    env,
    bind,
    privileged: true,
    arg: ['sh', '-c', 'mkdir -p /a/m /b/m; mount -t tmpfs x /a/m; mount -t tmpfs x /b/m; sleep 100'],
  })
  let mounts = ''
  for (let i = 0; i < 100 && !mounts.includes('/srv/shared/m'); i++)
    mounts = (await shell(node, 'cat /proc/mounts')).stdout
  program.signal(9)
  await program.ended
  assert.match(mounts, / \/srv\/shared\/m tmpfs/)
  assert.doesNotMatch(mounts, / \/srv\/own\/m tmpfs/)
  await shell(node, 'umount /srv/shared/m')
})

test('exec enters the container, with a terminal that follows the size it is told', async () => {
  const main = await node.run({ root: image, arg: ['sleep', '100'], env, hostname: 'x' })
  const plain = await node.exec({ pid: main.pid, arg: ['sh', '-c', 'cat; cat /proc/1/comm; exit 3'], env, in: true })
  let said = ''
  plain.onOutput((_, data) => (said += data))
  plain.write(Buffer.alloc(300_000, 'x'))
  plain.endInput()
  assert.deepEqual(await plain.ended, { code: 3, signal: 0 })
  assert.equal(said.length, 300_000 + 'sleep\n'.length)

  const terminal = await node.exec({
    pid: main.pid,
    arg: ['sh', '-c', 'read x; stty size; tty'],
    env,
    in: true,
    tty: true,
  })
  let screen = ''
  terminal.onOutput((_, data) => (screen += data))
  terminal.resize(100, 40)
  terminal.write(Buffer.from('go\r'))
  assert.equal((await terminal.ended).code, 0)
  assert.match(screen, /40 100\r\n\/dev\/pts\/\d+\r\n$/)
  main.signal(9)
  await main.ended
  await assert.rejects(node.exec({ pid: main.pid, arg: ['true'], env }), /enter the container/)
})

test('a program that is not there, a request with nonsense and a broken one are refused with a reason', async () => {
  await assert.rejects(node.run({ root: image, arg: ['no-such-program'], env }), /executable file not found in \$PATH/)
  await assert.rejects(node.run({ root: image, arg: ['/no/such'], env }), /not found in the container's file system/)
  await assert.rejects(node.run({ root: image, arg: ['true'], env, cwd: '/etc/passwd' }), /Not a directory/)
  await assert.rejects(node.run({ nonsense: 1 }), /unknown record/)
  await assert.rejects(node.run({ op: 'nonsense' }), /unknown op/)
  await assert.rejects(
    node.run({ root: image, arg: ['true'], env, net: '/run/netns/none' }),
    /enter the namespace \/run\/netns\/none: No such file/,
  )
})

test('garbage on the socket is answered with a reason, and the node goes on', async () => {
  const say = (bytes: Buffer) =>
    new Promise<string>((done) => {
      let answer = ''
      const socket = connect(node.socket, () => socket.write(bytes))
      socket.on('data', (data) => (answer += data.subarray(5)))
      socket.on('error', () => {})
      socket.on('close', () => done(answer))
    })
  assert.equal(await say(Buffer.from('nonsense\0\0')), "a record without '='")
  assert.equal(await say(Buffer.from('\0')), 'a request without op')
  assert.equal(await say(Buffer.alloc(1 << 20, 'x')), 'a request longer than 1 MiB')
  assert.match(await say(Buffer.from(`op=run\0${'arg=x\0'.repeat(600)}\0`)), /more than 512 records/)
  assert.equal((await shell(node, 'echo well')).stdout, 'well\n')
})

test('a dial makes a real connection from inside a network namespace and carries bytes both ways', async () => {
  await node.sandbox({ name: 'cni-dial' })
  const net = '/run/netns/cni-dial'
  const program = `${import.meta.dirname}/../../../build/native/lab-http`
  const server = await node.run({ root: image, arg: [program, 'deathstar'], env, net })
  const connection = await node.dial({ net, address: '127.0.0.1', port: 80 }).catch(async () => {
    await new Promise((done) => server.onOutput(done)) // it says when it serves
    return node.dial({ net, address: '127.0.0.1', port: 80 })
  })
  connection.end('POST /v1/request-landing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  let answer = ''
  for await (const data of connection) answer += data
  assert.match(answer, /200 OK(.|\r|\n)*Ship landed\n$/)
  await assert.rejects(node.dial({ net, address: '127.0.0.1', port: 81 }), /dial tcp 127.0.0.1:81: Connection refused/)
  await assert.rejects(node.dial({ address: '127.0.0.1', port: 80 }), /Connection refused/)
  server.signal(15)
  assert.equal((await server.ended).code, 0)
  await node.unsandbox('cni-dial')
})

test('a host program can be run in the network of a pod or of the node', async () => {
  await node.sandbox({ name: 'cni-enter' })
  const enter = (netns: string) =>
    execFileSync(node.program, [
      'enter',
      String(node.pid),
      netns,
      '--',
      'sh',
      '-c',
      'readlink /proc/self/ns/net; ls /sys/class/net',
    ]).toString()
  const inNode = (await shell(node, 'readlink /proc/self/ns/net')).stdout
  assert.equal(enter('-'), `${inNode}lo\n`)
  assert.notEqual(enter('/run/netns/cni-enter').split('\n')[0], inNode.trim())
  await node.unsandbox('cni-enter')
})

test('a log holds lines with time and stream, and a client that goes takes its program with it', async () => {
  const log = '/var/log/test.log'
  const program = await node.run({
    root: image,
    env,
    log,
    arg: ['sh', '-c', 'echo out; printf end; echo err >&2; sleep 100'],
  })
  for (let i = 0; i < 200 && !readFileSync(node.path(log), 'utf8').includes('err'); i++)
    await new Promise((r) => setTimeout(r, 10))
  program.close()
  for (let i = 0; i < 200 && (await shell(node, 'ps ax')).stdout.includes('sleep 100'); i++)
    await new Promise((r) => setTimeout(r, 10))
  assert.doesNotMatch((await shell(node, 'ps ax')).stdout, /sleep 100/)
  // What was no whole line is written when the program has ended.
  let lines = ''
  for (let i = 0; i < 500 && !lines.includes(' end\n'); i++) {
    await new Promise((r) => setTimeout(r, 10))
    lines = readFileSync(node.path(log), 'utf8')
  }
  assert.match(lines, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z stdout F out$/m)
  assert.match(lines, / stderr F err$/m)
  assert.match(lines, / stdout F end$/m)
})

test('nothing of a node is left once it is closed', async () => {
  const other = await testNode('ends')
  const { pid, cgroups, socket } = other
  await other.run({
    root: image,
    arg: ['sh', '-c', 'sleep 1000 & sleep 1000'],
    env,
    pidns: 'node',
    cgroup: cgroups.all,
  })
  await other.end()
  assert.equal(existsSync(`/proc/${pid}`), false)
  assert.equal(existsSync(socket), false)
  assert.deepEqual(cgroups.all.filter(existsSync), [])
})
