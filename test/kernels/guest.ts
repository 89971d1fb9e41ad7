// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Kernel } from './kernel.ts'

const root = join(import.meta.dirname, '../..')

export interface GuestOptions {
  /** Seconds after which the guest is ended. */
  readonly limit: number
  readonly output: (text: string) => void
}

/**
 * Without what QEMU emulates slowly, or not always right: programs crashed now and then that had all of it. One processor,
 * because V8's account of its code pages is not safe between threads that really run at once (Node: "Check failed:
 * it->second.Size() > offset"), and emulation is where that shows.
 */
const PROCESSOR = ['max', 'avx', 'avx2', 'f16c', 'fma', 'vaes', 'pku', 'la57'].join(',-')

/**
 * Boots a kernel in QEMU over this machine's files (what the guest writes is gone with it), runs a shell command there
 * as root in the project's directory, and resolves to its exit status. The processor is emulated: slow, right, and no
 * measure of time.
 */
export async function runInGuest(kernel: Kernel, command: string, options: GuestOptions): Promise<number> {
  mkdirSync(join(root, '.cache/kernels'), { recursive: true })
  const job = mkdtempSync(join(root, '.cache/kernels/job-'))
  writeFileSync(join(job, 'command'), `cd '${root}'\n${command}\n`)
  writeFileSync(join(job, 'project'), `${root}\n`)
  const share = (tag: string, path: string, more: string): string[] => [
    ...['-fsdev', `local,id=${tag},path=${path},security_model=none,multidevs=remap${more}`],
    ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ]
  const guest = spawn(
    'qemu-system-x86_64',
    [
      ...['-accel', 'tcg,thread=multi', '-cpu', PROCESSOR, '-smp', '1', '-m', '3072'],
      ...['-display', 'none', '-monitor', 'none', '-no-reboot', '-nic', 'none'],
      ...['-serial', `file:${join(job, 'console')}`, '-serial', 'stdio'],
      ...['-kernel', kernel.image, '-initrd', kernel.initramfs],
      ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off'],
      ...share('host', '/', ',readonly=on'),
      ...share('job', job, ''),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const timer = setTimeout(() => guest.kill('SIGKILL'), options.limit * 1000)
  const stop = (): void => void guest.kill('SIGKILL')
  process.once('exit', stop)
  try {
    let errors = ''
    guest.stdout.setEncoding('utf8').on('data', options.output)
    guest.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    await new Promise((resolve, reject) => guest.once('close', resolve).once('error', reject))
    if (existsSync(join(job, 'status'))) return Number(readFileSync(join(job, 'status'), 'utf8'))
    const console = existsSync(join(job, 'console')) ? readFileSync(join(job, 'console'), 'utf8') : ''
    throw new Error(`the guest ended without a status\n${errors}${console.split('\n').slice(-15).join('\n')}`)
  } finally {
    clearTimeout(timer)
    process.off('exit', stop)
    rmSync(job, { recursive: true, force: true })
  }
}
