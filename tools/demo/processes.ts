/** The second half of the demo: the same three nodes as processes of this machine, joined by UDP tunnels. */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CommandError, EXIT } from '../exit.ts'
import { unlessAborted } from '../interrupt.ts'
import { page } from './page.ts'

export interface RunningNetwork {
  /** Where the far server is reached from this machine. */
  readonly url: string
  /** What runs: name, process and what it is. */
  readonly nodes: readonly { readonly name: string; readonly pid: number; readonly command: string }[]
  /** Ends the processes, and removes what they served. */
  close(): Promise<void>
}

const HOST = '127.0.0.1'
const START_MS = 120_000
const STOP_MS = 5000
/** Sources run through a loader, built code does not: children do as their parent. */
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const CLI = fileURLToPath(new URL(`../cli.${EXTENSION}`, import.meta.url))
const ROUTER = fileURLToPath(new URL(`./router.${EXTENSION}`, import.meta.url))

/**
 * bob serves a page at 10.0.2.2, r1 forwards, alice leads a port of this machine to it.
 * @param port where alice listens on 127.0.0.1; 0 for a free one.
 * @param signal gives up.
 * @throws CommandError — a node did not start; nothing is left behind. The signal's reason.
 */
export async function startNetwork(port: number, signal: AbortSignal): Promise<RunningNetwork> {
  const folder = mkdtempSync(join(tmpdir(), `netstrata-demo-${process.pid}-`))
  const children: { name: string; command: string; child: ChildProcess }[] = []
  const close = async (): Promise<void> => {
    await Promise.all(children.map(({ child }) => stop(child)))
    remove()
    process.off('exit', remove)
  }
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.on('exit', remove)
  // Nodes of several demos at once must not meet in one control folder.
  const nodeName = (name: string): string => `demo-${process.pid}-${name}`
  const start = async (name: string, script: string, args: readonly string[]): Promise<string> => {
    // By the channel they notice when we are gone without a `close`, however that came: then they leave, too.
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'ipc']
    const child = spawn(process.execPath, [...process.execArgv, script, ...args], { stdio })
    const command = `netstrata ${args.filter((arg) => !arg.startsWith(folder)).join(' ')}`
    children.push({ name, command, child })
    return unlessAborted(firstLine(name, child), signal)
  }
  try {
    writeFileSync(join(folder, 'index.html'), page())
    const [a, ra, rb, b] = await freePorts(4)
    const link = (own: number | undefined, peer: number | undefined): string =>
      `udp:${HOST}:${own},peer=${HOST}:${peer}`
    const config = join(folder, 'r1.yaml')
    writeFileSync(
      config,
      `name: ${nodeName('r1')}\nforwarding: true\nlinks:\n` +
        `  eth0: { link: "${link(ra, a)}", addresses: [10.0.1.1/24] }\n` +
        `  eth1: { link: "${link(rb, b)}", addresses: [10.0.2.1/24] }\n`,
    )
    await start('r1', ROUTER, [config])
    const bob = ['--name', nodeName('bob'), '--link', link(b, rb), '--address', '10.0.2.2/24', '--gateway', '10.0.2.1']
    await start('bob', CLI, ['serve', folder, '--json', ...bob])
    const alice = [
      '--name',
      nodeName('alice'),
      '--link',
      link(a, ra),
      '--address',
      '10.0.1.2/24',
      '--gateway',
      '10.0.1.1',
    ]
    const told = await start('alice', CLI, ['forward', `${HOST}:${port}`, '10.0.2.2:80', '--json', ...alice])
    const { listening } = JSON.parse(told) as { listening: { port: number } }
    const nodes = children.map(({ name, command, child }) => ({ name, command, pid: child.pid ?? 0 }))
    return { url: `http://${HOST}:${listening.port}/`, nodes, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The first line a node says is that it runs. */
function firstLine(name: string, child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (why: string): void => {
      clearTimeout(timer)
      const { code, message } = complaint(said) ?? { code: 'ERR_DEMO', message: `${why}\n${said}`.trim() }
      reject(new CommandError(`${name} did not start: ${message}`, EXIT.failure, code))
    }
    const timer = setTimeout(() => fail(`it said nothing within ${START_MS / 1000} s`), START_MS)
    const listen = (chunk: Buffer): void => {
      said += chunk.toString()
      const end = said.indexOf('\n')
      if (end < 0 || said.startsWith('{"error"')) return
      clearTimeout(timer)
      resolve(said.slice(0, end))
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    child.once('error', (error) => fail(error.message))
    // When its pipes have been read to the end, unlike at 'exit'.
    child.once('close', (code) => fail(`it left with ${code}`))
  })
}

/** What a node that ends with an error says, with --json. */
function complaint(said: string): { code: string; message: string } | undefined {
  try {
    return (JSON.parse(said) as { error?: { code: string; message: string } }).error
  } catch {
    return undefined
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  child.kill('SIGTERM')
  await once(child, 'exit')
  clearTimeout(timer)
}

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const sockets = Array.from({ length: count }, () => dgram.createSocket('udp4'))
  const ports: number[] = []
  for (const socket of sockets) {
    socket.bind(0, HOST)
    await once(socket, 'listening')
    ports.push(socket.address().port)
  }
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))))
  return ports
}
