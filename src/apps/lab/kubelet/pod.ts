// SPDX-License-Identifier: Apache-2.0
import { rmSync } from 'node:fs'
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import { isReason } from '../../../protocol/kubeapi/status.ts'
import { makeCgroups, removeCgroups } from './cgroups.ts'
import { hostnameOf, logDirectory, writePodFiles } from './container.ts'
import type { NodeContext, PodContext } from './context.ts'
import type { PodFacts } from './environment.ts'
import { runInside } from './inside.ts'
import { type ContainerLife, containerLife, type Kind, unstarted } from './lifecycle.ts'
import { lastLines } from './logs.ts'
import type { Container, Pod } from './manifest.ts'
import type { Program } from './node.ts'
import { podVolumes } from './pod-volumes.ts'
import { addSandbox, CniError, dropSandbox, removeSandbox, type Sandbox } from './sandbox.ts'
import { type PodFindings, podStatus } from './status.ts'
import { podDirectory } from './volumes.ts'

export interface PodLife {
  readonly pod: () => Pod
  readonly sandbox: () => Sandbox | undefined
  readonly container: (name: string) => ContainerLife | undefined
  /** The pod's object has changed. */
  readonly update: (pod: Pod) => void
  /** The object is gone: everything ends at once. */
  readonly vanish: () => Promise<void>
  /** A ConfigMap or Secret has changed. */
  readonly refresh: (resource: string, namespace: string, name: string) => void
}

/** How long CNI DEL is tried before the pod is let go without it. */
const patience = 120_000

export function startPod(context: NodeContext, first: Pod): PodLife {
  const { node, store, clock, record, scope } = context
  const { uid, namespace, name } = first.metadata
  let pod = first
  let sandbox: Sandbox | undefined
  let podIPs: readonly string[] = []
  let initialized = false
  let finished = false
  let failure: PodFindings['failure']
  let stopping = false
  let ended: Promise<void> | undefined
  let gone = false
  let due = false
  let pauser: Program | undefined
  const startTime = clock.now()
  const lives: ContainerLife[] = []
  let interrupt = () => {}
  const interrupted = new Promise<void>((resolve) => {
    interrupt = resolve
  })

  const facts = (): PodFacts => ({
    nodeName: node.name,
    hostIPs: context.hostIPs,
    podIPs,
    cores: context.cores,
    memory: context.memory,
  })

  const statusesOf = (specs: readonly Container[], reason: string) =>
    specs.map((spec) => lives.find((l) => l.spec.name === spec.name)?.status() ?? unstarted(spec, reason))

  function publish(): void {
    due = false
    if (gone || scope.signal.aborted) return
    const findings: PodFindings = {
      init: statusesOf(pod.spec.initContainers ?? [], 'PodInitializing'),
      main: statusesOf(pod.spec.containers, pod.spec.initContainers?.length ? 'PodInitializing' : 'ContainerCreating'),
      ephemeral: lives.filter((l) => l.kind === 'ephemeral').map((l) => l.status()),
      initialized,
      finished,
      ...(failure ? { failure } : {}),
      sandbox: sandbox !== undefined,
      podIPs,
      hostIPs: context.hostIPs,
      startTime,
    }
    try {
      store.modify<Pod>(
        'pods',
        namespace,
        name,
        (now) => (now.metadata.uid === uid ? { ...now, status: podStatus(now, findings, clock.now()) } : undefined),
        { subresource: 'status' },
      )
    } catch (error) {
      if (!isReason(error, 'NotFound')) record(pod, 'Warning', 'FailedStatusUpdate', (error as Error).message)
    }
  }

  const changed = () => {
    if (due) return
    due = true
    queueMicrotask(publish)
  }

  const podContext: PodContext = {
    scope,
    clock,
    record,
    node,
    images: context.images,
    pod: () => pod,
    changed,
    lastLines: (log, count) => lastLines(node.path(log), count),
    making(container, image, restarts) {
      if (!sandbox) throw new Error('the pod has no sandbox')
      const target = (container as { targetContainerName?: string }).targetContainerName
      const joined = pauser?.pid ?? lives.find((l) => l.spec.name === target)?.running()?.program.pid
      return {
        node,
        store,
        facts: facts(),
        pod,
        container,
        image,
        sandbox,
        volumes: volumes.ready(),
        cgroup: context.cgroup,
        restarts,
        ...(joined ? { joinPid: joined } : {}),
      }
    },
    reach: (current) => ({
      address: podIPs[0] ?? '127.0.0.1',
      dial: (address, port, timeout) => node.dial({ address, port, timeout }),
      exec: (command, timeout) => runInside(node, scope, current, command, timeout),
    }),
  }

  const sleep = (ms: number) =>
    Promise.race([interrupted, new Promise<void>((resolve) => void scope.after('retry', ms, () => resolve()))])

  /** Tries until it works or the pod is to stop; each new reason becomes an event. */
  async function untilDone<T>(reason: string, make: () => Promise<T> | T): Promise<T | undefined> {
    let said = ''
    for (let delay = 100; !stopping && !scope.signal.aborted; ) {
      try {
        return await make()
      } catch (error) {
        const message = (error as Error).message
        const noNetwork = error instanceof CniError && !context.network()
        if (message !== said) record(pod, 'Warning', noNetwork ? 'NetworkNotReady' : reason, message)
        said = message
        changed()
        await sleep(delay)
        delay = noNetwork ? 100 : Math.min(delay * 2, 10_000)
      }
    }
    return undefined
  }

  const volumes = podVolumes(
    () => pod,
    () => ({ store, facts: facts(), path: node.path, token: context.token, ca: context.ca, now: clock.now }),
  )

  async function makeSandbox(): Promise<Sandbox> {
    const network = context.network()
    if (!pod.spec.hostNetwork && !network) {
      throw new CniError('network is not ready: container runtime network not ready: cni plugin not initialized')
    }
    try {
      return await addSandbox(node, pod, network, hostnameOf(pod))
    } catch (error) {
      throw new Error(`Failed to create pod sandbox: ${(error as Error).message}`)
    }
  }

  const begin = (spec: Container, kind: Kind): ContainerLife => {
    const life = containerLife(podContext, spec, kind)
    lives.push(life)
    return life
  }

  /** true: all init containers are through. */
  async function initialize(): Promise<boolean> {
    for (const spec of pod.spec.initContainers ?? []) {
      if (stopping) return false
      const sidecar = spec.restartPolicy === 'Always'
      const life = begin(spec, sidecar ? 'sidecar' : 'init')
      const over = life.live()
      if (sidecar) await Promise.race([life.started, interrupted])
      else if ((await over) !== 0) return false
    }
    return !stopping
  }

  async function work(): Promise<void> {
    const { activeDeadlineSeconds } = pod.spec
    if (activeDeadlineSeconds) scope.after('deadline', activeDeadlineSeconds * 1000, () => overdue())
    makeCgroups(podCgroup())
    await untilDone('FailedMount', volumes.prepare)
    sandbox = await untilDone('FailedCreatePodSandBox', makeSandbox)
    if (!sandbox) return
    podIPs = pod.spec.hostNetwork ? context.hostIPs : sandbox.ips
    writePodFiles(node, pod, context.names, podIPs)
    if (pod.spec.shareProcessNamespace) pauser = await startPauser(sandbox)
    changed()
    if (!(await initialize())) return
    initialized = true
    changed()
    const mains = pod.spec.containers.map((spec) => begin(spec, 'main'))
    beginEphemeral()
    await Promise.all(mains.map((life) => life.live()))
  }

  const startPauser = (at: Sandbox) =>
    node.run({
      root: '/run/lab/image',
      net: at.netns,
      ipc: `/run/sandbox/${at.name}.ipc`,
      uts: `/run/sandbox/${at.name}.uts`,
      arg: context.images.find('pause')?.entrypoint ?? ['sleep', 'infinity'],
    })

  function beginEphemeral(): void {
    for (const spec of pod.spec.ephemeralContainers ?? []) {
      if (!lives.some((l) => l.spec.name === spec.name)) void begin(spec, 'ephemeral').live()
    }
  }

  const podCgroup = () => `${context.cgroup}/kubepods/pod${uid}`

  function overdue(): void {
    if (finished || stopping) return
    failure = { reason: 'DeadlineExceeded', message: 'Pod was active on the node longer than the specified deadline' }
    void end(graceOf(pod), false)
  }

  /** Stops what runs, takes the network away, and lets the object go if it is being deleted. */
  function end(grace: number, forced: boolean): Promise<void> {
    stopping = true
    interrupt()
    const stopAll = (kinds: readonly Kind[]) =>
      Promise.all(
        lives
          .filter((l) => kinds.includes(l.kind))
          .map((l) => l.stop(forced ? 0 : grace, `Stopping container ${l.spec.name}`)),
      )
    // A second, harder call overtakes the first one's waiting.
    if (forced) void stopAll(['main', 'init', 'ephemeral', 'sidecar'])
    ended ??= (async () => {
      await stopAll(['main', 'init', 'ephemeral'])
      await stopAll(['sidecar'])
      await working
      await tearDown()
    })()
    return ended
  }

  async function tearDown(): Promise<void> {
    pauser?.close()
    const until = clock.monotonic() + patience
    let said = ''
    for (let delay = 100; sandbox; delay = Math.min(delay * 2, 5_000)) {
      try {
        await removeSandbox(node, pod, sandbox)
        break
      } catch (error) {
        const message = `error killing pod: failed to "KillPodSandbox": ${(error as Error).message}`
        if (message !== said) record(pod, 'Warning', 'FailedKillPod', message)
        said = message
        if (clock.monotonic() > until) {
          await dropSandbox(node, sandbox).catch(() => {})
          break
        }
        await new Promise<void>((resolve) => void scope.after('CNI DEL', delay, () => resolve()))
      }
    }
    sandbox = undefined
    finished = true
    const removed = await removeCgroups({ all: makeCgroups(podCgroup()).all })
    if (!removed) record(pod, 'Warning', 'FailedKillPod', `cgroup ${podCgroup()} could not be removed`)
    publish()
    release()
  }

  /** Nothing of the pod is left on the node: its object may go, and its files. */
  function release(): void {
    if (!gone && !pod.metadata.deletionTimestamp) return
    for (const path of [podDirectory(pod), logDirectory(pod, '')]) {
      rmSync(node.path(path), { recursive: true, force: true })
    }
    if (gone) return
    try {
      store.delete('pods', namespace, name, { gracePeriodSeconds: 0, uid })
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error
    }
  }

  const working = work()
    .catch((error: Error) => {
      failure = { reason: 'KubeletError', message: error.message }
      record(pod, 'Warning', 'Failed', error.message)
    })
    .then(() => {
      // Ran to its end by itself: the network goes, the object stays until somebody deletes it.
      if (!stopping && !scope.signal.aborted) queueMicrotask(() => void end(graceOf(pod), false))
    })

  return {
    pod: () => pod,
    sandbox: () => sandbox,
    container: (wanted) => lives.find((l) => l.spec.name === wanted),
    update(next) {
      const labelled =
        !sameJson(next.metadata.labels, pod.metadata.labels) ||
        !sameJson(next.metadata.annotations, pod.metadata.annotations)
      pod = next
      if (pod.metadata.deletionTimestamp) {
        if (finished) release()
        else void end(graceOf(pod), false)
        return
      }
      if (initialized && !stopping) beginEphemeral()
      if (labelled) volumes.podChanged()
      if (pod.spec.readinessGates?.length) changed()
    },
    async vanish() {
      gone = true
      await end(0, true)
      release()
    },
    refresh(resource, objectNamespace, objectName) {
      if (objectNamespace === namespace)
        volumes.objectChanged(resource === 'secrets' ? 'secret' : 'configMap', objectName)
    },
  }
}

const graceOf = (pod: Pod): number =>
  pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30
