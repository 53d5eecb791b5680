/** Commands as processes of their own, for tests: with a folder for their sockets, and an end with the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type t from 'tap'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
/** What Node is told to take TypeScript, wherever it runs. */
export const LOADER: string = `--import=${new URL('../../scripts/typescript.mjs', import.meta.url)}`
/** How the program is called: its sources, through a loader; or, which starts sooner, as `npm run build` has left it. */
export const PROGRAM: readonly string[] =
  process.env.NETSTRATA_BUILT === undefined
    ? [process.execPath, LOADER, join(root, 'tools/cli.ts')]
    : [process.execPath, join(root, 'dist/tools/cli.js')]

/** How a command ended, and all it said. */
export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** A command under way. */
export class Running {
  readonly child: ChildProcess
  out = ''
  err = ''
  private readonly closed: Promise<unknown>

  /** @param command the program with its arguments. */
  constructor(command: readonly string[], folder: string, input: string | undefined) {
    const env = { ...process.env, XDG_RUNTIME_DIR: folder, NO_COLOR: '1' }
    const [program = '', ...args] = command
    // By the channel it notices when this process is killed, and ends.
    this.child = spawn(program, args, { env, cwd: folder, stdio: ['pipe', 'pipe', 'pipe', 'ipc'] })
    this.closed = once(this.child, 'close')
    this.child.stdout?.on('data', (chunk) => {
      this.out += chunk
    })
    this.child.stderr?.on('data', (chunk) => {
      this.err += chunk
    })
    this.child.stdin?.on('error', () => {})
    if (input === undefined) this.child.stdin?.end()
    else this.child.stdin?.write(input)
  }

  /** Settles when it has said so, on stdout or stderr. @throws Error — it ended without. */
  async said(what: RegExp): Promise<void> {
    while (!what.test(this.out + this.err)) {
      const { exitCode, signalCode } = this.child
      if (exitCode !== null || signalCode !== null) throw new Error(`left with ${exitCode}: ${this.out}${this.err}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  /** Settles when it has ended and all it said was read. */
  async ended(): Promise<Ended> {
    await this.closed
    return { code: this.child.exitCode, out: this.out, err: this.err }
  }

  /** Tells it to end, and waits. */
  interrupt(signal: NodeJS.Signals = 'SIGINT'): Promise<Ended> {
    this.child.kill(signal)
    return this.ended()
  }
}

export class Commands {
  /** Where they run: a folder of the test, removed at its end. */
  readonly folder: string = mkdtempSync(join(tmpdir(), 'ns-cli-'))
  private readonly program: readonly string[]
  private readonly started: Running[] = []

  /** @param program how it is called. */
  constructor(test: Pick<typeof t, 'teardown'>, program: readonly string[] = PROGRAM) {
    this.program = program
    test.teardown(() => {
      for (const { child } of this.started) child.kill('SIGKILL')
      rmSync(this.folder, { recursive: true, force: true })
    })
  }

  /**
   * @param input goes to stdin, which then stays open; without it, stdin ends at once.
   * @param inside what stands before the program: `ip netns exec NAME`.
   */
  start(args: readonly string[], input?: string, inside: readonly string[] = []): Running {
    const running = new Running([...inside, ...this.program, ...args], this.folder, input)
    this.started.push(running)
    return running
  }

  run(...args: string[]): Promise<Ended> {
    return this.start(args).ended()
  }

  /** Names of the control sockets there are. */
  sockets(): string[] {
    const place = join(this.folder, 'netstrata')
    return existsSync(place) ? readdirSync(place) : []
  }
}

/** The options of two hosts, 10.0.0.1 and 10.0.0.2, at the ends of a tunnel over ports that are free. */
export async function tunnel(): Promise<{ first: string[]; second: string[] }> {
  const [a, b] = await freePorts(2)
  return {
    first: ['--link', `udp:127.0.0.1:${a},peer=127.0.0.1:${b}`, '--address', '10.0.0.1/24'],
    second: ['--link', `udp:127.0.0.1:${b},peer=127.0.0.1:${a}`, '--address', '10.0.0.2/24'],
  }
}

/**
 * Ports of the loopback, all different, that nobody has and nobody else gets: whoever binds to any port is given one from
 * 32,768 (Linux) or 49,152 (RFC 6335 §6) on, and every process that tests takes from a run of its own.
 */
export async function freePorts(count: number): Promise<number[]> {
  run ??= ownRun()
  const first = await run
  const ports: number[] = []
  for (let tried = 1; ports.length < count; tried++) {
    if (tried === RUN_PORTS) throw new Error(`of the ports from ${first} on, ${ports.length} are free, not ${count}`)
    const port = first + 1 + (taken++ % (RUN_PORTS - 1))
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

const FIRST_PORT = 20_000
const RUN_PORTS = 64
const RUNS = 190
let run: Promise<number> | undefined
let taken = 0

/** A run is this process's until it ends, as the socket on the first port of it is. */
async function ownRun(): Promise<number> {
  for (let i = 0; i < RUNS; i++) {
    const port = FIRST_PORT + ((process.pid + i) % RUNS) * RUN_PORTS
    const holder = await bound(port)
    if (holder === undefined) continue
    holder.unref()
    return port
  }
  throw new Error(`no port from ${FIRST_PORT} on is free`)
}

async function isFree(port: number): Promise<boolean> {
  const datagrams = await bound(port)
  if (datagrams === undefined) return false
  const server = createServer().listen(port, '127.0.0.1')
  const free = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  await Promise.all([datagrams, server].map((socket) => new Promise<unknown>((resolve) => socket.close(resolve))))
  return free
}

async function bound(port: number): Promise<Datagrams | undefined> {
  const socket = createSocket('udp4').bind(port, '127.0.0.1')
  try {
    await once(socket, 'listening')
    return socket
  } catch {
    socket.close()
    return undefined
  }
}
