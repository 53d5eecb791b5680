/** A virtual machine under QEMU, without root: Debian's kernel on an emulated processor, booted in some five seconds. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Cleaning, type Oracle, run } from './helpers.ts'

/** What it takes to make one and to start it. */
export const MACHINE_ORACLES: readonly Oracle[] = ['qemu-system-x86_64', 'busybox', 'cpio', 'apt-get']

const SOURCES = fileURLToPath(new URL('guest', import.meta.url))
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/netstrata-guest', import.meta.url))
const LIMIT_MS = 900_000

export type Machine = ChildProcessByStdio<null, Readable, null>

/**
 * Starts one, which ends with the test; it is made first where that has not been done, or of older sources.
 * @param append words for the kernel's command line, which its init reads.
 * @param devices arguments for QEMU.
 * @throws Error — it cannot be made, with what was printed.
 */
export async function startMachine(t: Cleaning, append: string, devices: readonly string[]): Promise<Machine> {
  await make()
  // Before others where that may be: its clock runs on while it waits for a processor.
  const machine = spawn(
    'nice',
    [
      ...['-n', '-10', 'qemu-system-x86_64'],
      ...['-accel', 'tcg', '-cpu', 'max', '-m', '256', '-display', 'none', '-monitor', 'none', '-no-reboot'],
      ...['-kernel', join(CACHE, 'vmlinuz'), '-initrd', join(CACHE, 'initrd.gz')],
      ...['-append', `console=ttyS0 quiet panic=-1 net.ifnames=0 ${append}`, '-serial', 'stdio'],
      ...devices,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const late = setTimeout(() => machine.kill('SIGKILL'), LIMIT_MS)
  t.teardown(() => {
    clearTimeout(late)
    machine.kill('SIGKILL')
  })
  return machine
}

/** QEMU's arguments for a network card behind a `-netdev` whose id is n0. */
export const networkCard = (netdev: string): readonly string[] => [
  ...['-netdev', netdev],
  ...['-device', 'virtio-net-pci,netdev=n0,mac=02:00:00:00:00:01'],
]

/** What a machine says on its console, line by line, until it switches itself off. */
export async function* consoleOf({ stdout }: Machine): AsyncGenerator<string> {
  for await (const line of createInterface(stdout)) {
    const at = line.indexOf('guest: ')
    if (at >= 0) yield line.slice(at).trimEnd()
  }
}

async function make(): Promise<void> {
  const made = join(CACHE, 'initrd.gz')
  const sources = ['build', 'init', 'station'].map((name) => statSync(join(SOURCES, name)).mtimeMs)
  if (existsSync(made) && statSync(made).mtimeMs >= Math.max(...sources)) return
  const { code, output } = await run(join(SOURCES, 'build'), CACHE)
  if (code !== 0) throw new Error(`the guest cannot be built: ${output}`)
}
