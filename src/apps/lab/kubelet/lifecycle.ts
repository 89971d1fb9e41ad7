// SPDX-License-Identifier: Apache-2.0
import { readFileSync, rmSync } from 'node:fs'
import { timestamp } from '../controllers/events.ts'
import type { Image } from '../images/images.ts'
import { oomKills, removeCgroups } from './cgroups.ts'
import { imageId, type Made, makeContainer } from './container.ts'
import type { PodContext } from './context.ts'
import { MissingReference } from './environment.ts'
import type { Container, ContainerState, ContainerStatus, Handler } from './manifest.ts'
import type { End, Program } from './node.ts'
import { type Attempt, attempt } from './probes.ts'
import { watchOver } from './watch.ts'

export type Kind = 'init' | 'sidecar' | 'main' | 'ephemeral'

/** One container of a pod, through all its restarts. */
export interface ContainerLife {
  readonly spec: Container
  readonly kind: Kind
  readonly status: () => ContainerStatus
  /** What runs now, for exec, attach and kill. */
  readonly running: () => { readonly program: Program; readonly made: Made } | undefined
  /** Runs it until it is over for good: resolves with its last exit code. */
  readonly live: () => Promise<number>
  /** Resolves once it has started and its startup probe, if any, has succeeded. */
  readonly started: Promise<void>
  /** preStop, SIGTERM, SIGKILL after `grace` seconds; no restart follows. */
  readonly stop: (grace: number, why: string) => Promise<void>
}

const firstBackOff = 10_000
const longestBackOff = 300_000
/** A container that ran this long starts with a fresh back-off. */
const healthyAfter = 600_000

export function containerLife(context: PodContext, spec: Container, kind: Kind): ContainerLife {
  const { scope, clock, record } = context
  let state: ContainerState = {
    waiting: { reason: kind === 'init' || kind === 'main' ? 'PodInitializing' : 'ContainerCreating' },
  }
  let lastState: ContainerState = {}
  let restartCount = 0
  let ready = false
  let up = false
  let current: { program: Program; made: Made; startedAt: number } | undefined
  let id: string | undefined
  let image: Image | undefined
  let stopping = false
  let graceAtStop = 0
  let backOff = 0
  let nobodyWaits = () => {}
  const interrupt = new Promise<void>((resolve) => {
    nobodyWaits = resolve
  })
  let hasStarted = () => {}
  const started = new Promise<void>((resolve) => {
    hasStarted = resolve
  })
  const pod = () => context.pod()
  const tell = (type: 'Normal' | 'Warning', reason: string, message: string) => record(pod(), type, reason, message)
  const wait = (reason: string, message?: string) => {
    state = { waiting: { reason, ...(message ? { message } : {}) } }
    ready = false
    context.changed()
  }
  const sleep = (ms: number) =>
    Promise.race([interrupt, new Promise<void>((resolve) => void scope.after('back-off', ms, () => resolve()))])

  /** The image's program, asked for again and again as a pull would be. */
  async function pull(): Promise<Image | undefined> {
    for (let delay = firstBackOff; !stopping; delay = Math.min(delay * 2, longestBackOff)) {
      const found = context.images.find(spec.image) ?? (spec.command?.length ? context.images.plain : undefined)
      if (found) {
        tell('Normal', 'Pulled', `Container image "${spec.image}" already present on machine`)
        return found
      }
      const why = context.images.unknown(spec.image)
      tell('Warning', 'Failed', `Failed to pull image "${spec.image}": ${why}`)
      tell('Warning', 'Failed', 'Error: ErrImagePull')
      wait('ErrImagePull', why)
      await sleep(1000)
      if (stopping) break
      tell('Normal', 'BackOff', `Back-off pulling image "${spec.image}"`)
      wait('ImagePullBackOff', `Back-off pulling image "${spec.image}": ${why}`)
      await sleep(delay)
    }
    return undefined
  }

  async function start(): Promise<boolean> {
    image ??= await pull()
    if (!image || stopping) return false
    let made: Made
    try {
      made = makeContainer(context.making(spec, image, restartCount))
    } catch (error) {
      const message = (error as Error).message
      tell('Warning', 'Failed', `Error: ${message}`)
      wait(error instanceof MissingReference ? 'CreateContainerConfigError' : 'CreateContainerError', message)
      return false
    }
    id = `cilium-lab://${made.id}`
    tell('Normal', 'Created', `Created container: ${spec.name}`)
    try {
      const program = await context.node.run(made.request)
      program.onOutput(() => {})
      current = { program, made, startedAt: clock.now() }
    } catch (error) {
      const message = (error as Error).message
      await forget(made)
      if (/^(mount|hostPath) /.test(message)) {
        tell('Warning', 'FailedMount', message)
        wait('ContainerCreating', message)
        return false
      }
      tell('Warning', 'Failed', `Error: ${message}`)
      const now = timestamp(clock.now())
      terminated({ exitCode: 128, reason: 'StartError', message, startedAt: now, finishedAt: now, containerID: id })
      return false
    }
    tell('Normal', 'Started', `Started container ${spec.name}`)
    state = { running: { startedAt: timestamp(current.startedAt) } }
    context.changed()
    return true
  }

  function terminated(what: NonNullable<ContainerState['terminated']>): void {
    state = { terminated: what }
    ready = false
    up = false
    context.changed()
  }

  async function forget(made: Made): Promise<void> {
    await removeCgroups(made.cgroups)
    const old = made.log.replace(/\d+\.log$/, `${restartCount - 2}.log`)
    if (restartCount >= 2) for (const path of [old, `${old}.1`]) rmSync(context.node.path(path), { force: true })
  }

  function lastWords(made: Made, end: End): string {
    let text = ''
    try {
      text = readFileSync(context.node.path(made.message), 'utf8').slice(0, 4096)
    } catch {
      // a pod's directory that is already gone has nothing to say
    }
    if (text || spec.terminationMessagePolicy !== 'FallbackToLogsOnError' || end.code === 0) return text
    return context.lastLines(made.log, 80).slice(-2048)
  }

  /** Runs one instance to its end; undefined when it could not start. */
  async function once(): Promise<number | undefined> {
    if (!(await start()) || !current) return state.terminated?.exitCode
    const { program, made, startedAt } = current
    const stopProbes = watchOver({
      spec,
      scope,
      handle,
      tell,
      onUp() {
        up = true
        ready = !spec.readinessProbe
        hasStarted()
        context.changed()
      },
      onReady(is) {
        if (ready === is) return
        ready = is
        context.changed()
      },
      onFailure: (why, grace) =>
        void kill(program, grace ?? context.pod().spec.terminationGracePeriodSeconds ?? 30, why),
    })
    // Asked to stop while the program was being started: nobody has told it yet.
    if (stopping) void kill(program, graceAtStop, `Stopping container ${spec.name}`)
    const end = await program.ended
    stopProbes()
    const oom = end.code === 137 && oomKills(made.cgroups) > 0
    const message = lastWords(made, end)
    current = undefined
    await forget(made)
    terminated({
      exitCode: end.code,
      reason: oom ? 'OOMKilled' : end.code === 0 ? 'Completed' : 'Error',
      ...(message ? { message } : {}),
      startedAt: timestamp(startedAt),
      finishedAt: timestamp(clock.now()),
      containerID: id ?? '',
    })
    if (clock.now() - startedAt > healthyAfter) backOff = 0
    return end.code
  }

  const handle = (handler: Handler, timeout: number): Promise<Attempt> =>
    attempt(handler, spec, context.reach(current), timeout)

  async function kill(program: Program, grace: number, why: string): Promise<void> {
    tell('Normal', 'Killing', why)
    const hook = spec.lifecycle?.preStop
    const from = clock.monotonic()
    if (hook && grace > 0) {
      const result = await Promise.race([handle(hook, grace * 1000), program.ended.then(() => undefined)])
      if (result && !result.ok) tell('Warning', 'FailedPreStopHook', `PreStopHook failed: ${result.message}`)
    }
    program.signal(grace > 0 ? 15 : 9)
    const left = Math.max(0, grace * 1000 - (clock.monotonic() - from))
    const cancel = scope.after('grace', left, () => program.signal(9))
    await program.ended
    cancel()
  }

  function again(code: number | undefined): boolean {
    if (stopping || scope.signal.aborted || kind === 'ephemeral') return false
    const policy = kind === 'sidecar' ? 'Always' : (pod().spec.restartPolicy ?? 'Always')
    if (code === undefined) return true // it never started for want of something that may come
    if (policy === 'Never' || (code === 0 && (policy === 'OnFailure' || kind === 'init'))) return false
    return true
  }

  return {
    spec,
    kind,
    started,
    running: () => current,
    status: () => ({
      name: spec.name,
      state,
      lastState,
      ready: kind === 'init' ? state.terminated?.exitCode === 0 : ready,
      ...(kind === 'init' ? { started: false } : { started: up }),
      restartCount,
      image: spec.image,
      imageID: image ? imageId(image, spec.image) : '',
      ...(id ? { containerID: id } : {}),
    }),
    async live() {
      for (;;) {
        const code = await once()
        if (!again(code)) return code ?? 1
        if (code === undefined) {
          await sleep(1000)
          continue
        }
        const delay = backOff
        backOff = Math.min(backOff ? backOff * 2 : firstBackOff, longestBackOff)
        if (delay > 0) {
          lastState = state
          const where = `pod=${pod().metadata.name}_${pod().metadata.namespace}(${pod().metadata.uid})`
          const message = `back-off ${delay / 1000}s restarting failed container=${spec.name} ${where}`
          tell('Warning', 'BackOff', `Back-off restarting failed container ${spec.name} in pod ${where.slice(4)}`)
          wait('CrashLoopBackOff', message)
          await sleep(delay)
        } else lastState = state
        if (stopping) return code
        restartCount += 1
      }
    },
    async stop(grace, why) {
      stopping = true
      graceAtStop = grace
      nobodyWaits()
      if (current) await kill(current.program, grace, why)
    },
  }
}

/** The status of a container of which nothing has begun. */
export const unstarted = (spec: Container, reason: string): ContainerStatus => ({
  name: spec.name,
  state: { waiting: { reason } },
  lastState: {},
  ready: false,
  started: false,
  restartCount: 0,
  image: spec.image,
  imageID: '',
})
