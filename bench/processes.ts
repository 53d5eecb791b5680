/** Other processes and network namespaces, gone when the bench is over, however it ends. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { accessSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Child {
  /** The first line it printed. */
  readonly line: string
  stop(): Promise<void>
}

/** Starts a program that runs until it is stopped. Settles with its first line. */
export async function start(program: string, args: readonly string[]): Promise<Child> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  // None of them has anything to tidy up, and iperf3 does not always end when it is asked to.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const line = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.once('error', reject)
    child.once('close', (code) => reject(new Error(`${program} ended with ${code}: ${text}`)))
    child.stdout.on('data', (chunk) => {
      text += chunk
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')))
    })
  })
  return {
    line,
    async stop() {
      process.off('exit', kill)
      kill()
      await gone
    },
  }
}

/** What it takes to run a TypeScript file of this folder in a process of its own. */
export function script(name: string, ...args: readonly string[]): string[] {
  return [...flags(), fileURLToPath(new URL(name, import.meta.url)), ...args]
}

/** The flags this process was started with, as others are to have them. */
export const flags = (): string[] => process.execArgv.filter((flag) => !flag.startsWith('--cpu-prof'))

/** Starts `peer.ts`, in a namespace or our own. @returns the process, and the port it listens on. */
export async function peer(mode: 'sink' | 'echo', host: string, netns?: string): Promise<Child & { port: number }> {
  const args = script('peer.ts', mode, host)
  const child =
    netns === undefined
      ? await start(process.execPath, args)
      : await start('ip', ['netns', 'exec', netns, process.execPath, ...args])
  return { ...child, port: Number(child.line) }
}

/** Why there can be no TAP device here; undefined when there can. */
export async function tapMissing(...programs: readonly string[]): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root, to make a network namespace'
  try {
    accessSync('/dev/net/tun')
  } catch {
    return 'needs /dev/net/tun: modprobe tun'
  }
  try {
    await import('koffi')
  } catch {
    return 'needs the optional package koffi'
  }
  for (const program of ['ip', ...programs]) {
    try {
      execFileSync(program, [program === 'ip' ? '-V' : '--version'], { stdio: 'ignore' })
    } catch {
      return `needs ${program}`
    }
  }
  return undefined
}

/** A network namespace of our own. */
export interface Namespace {
  readonly name: string
  ip(...args: readonly string[]): void
  remove(): void
}

let made = 0

export function namespace(): Namespace {
  const name = `nsb${process.pid}-${made++}`
  const remove = (): void => {
    process.off('exit', remove)
    // Whoever tidies up the machine may have been quicker: what was measured stands.
    spawnSync('ip', ['netns', 'delete', name], { stdio: 'ignore' })
  }
  execFileSync('ip', ['netns', 'add', name])
  process.once('exit', remove)
  const inside = (...args: readonly string[]): void => {
    execFileSync('ip', ['-n', name, ...args])
  }
  inside('link', 'set', 'lo', 'up')
  return { name, ip: inside, remove }
}
