/**
 * A link with losses, a rate, a queue and a delay, which our TCP and the kernel's use alike. Three processes and two
 * namespaces; this process is our sender:
 *
 *   ours ──► ours0 ┐                                    ┌───────── far
 *                  ├ bridge ── near0 ══ relay ══ far0 ──┤  the kernel receives
 *   kernel's ──────┘                                    └
 *
 * Neither sender segments in the device, so that a packet is a packet for both, and neither keeps what it has learnt of
 * the path from one connection to the next.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { tapDevice } from '../layers/physical/node.ts'
import type { Sockets } from '../src/api/sockets.ts'
import type { Duration } from '../src/kernel/clock.ts'
import type { Node } from '../src/runtime/node.ts'
import { boot } from '../src/runtime/real-time.ts'
import { type Flow, flow } from './bottleneck-flow.ts'
import { host } from './hosts.ts'
import { type Namespace, namespace, script, tapMissing } from './processes.ts'
import { netOf } from './streams.ts'

/** What the link does to packets towards the receiver. */
export interface LinkSettings {
  /** Share of the packets that are lost, and the seed that says which. */
  readonly loss: number
  readonly seed: number
  /** Microseconds there; the way back is immediate. */
  readonly delay: Duration
  /** Bits per second, and packets that may wait. */
  readonly rate: number
  readonly queue: number
}

/** What it has done since it was last set: packets lost by fate; and ever: packets that found the queue full. */
export interface LinkState {
  readonly lost: number
  readonly overflowed: number
}

export type EndCommand =
  | { readonly do: 'listen'; readonly port: number }
  | { readonly do: 'received'; readonly port: number }
  | { readonly do: 'send'; readonly host: string; readonly port: number }
  | { readonly do: 'stop'; readonly port: number }

/** Whose TCP sends. */
export type Sender = 'ours' | 'kernel'

const KERNEL = '10.7.0.1'
const OURS = '10.7.0.2'
const FAR = '10.7.0.3'
const PORT = 5000
/** Packets in the queues of the devices: none is to be lost but by the link. */
const DEVICE_QUEUE = 20_000
const SYSCTLS = [
  'net.ipv4.tcp_no_metrics_save=1',
  'net.ipv6.conf.all.disable_ipv6=1',
  'net.ipv6.conf.default.disable_ipv6=1',
]

export interface Bottleneck {
  set(settings: LinkSettings): Promise<void>
  state(): Promise<LinkState>
  /** Starts a flow. */
  send(sender: Sender): Promise<SentFlow>
  close(): Promise<void>
}

export interface SentFlow {
  /** Octets that have arrived. */
  received(): Promise<number>
  stop(): Promise<void>
}

/** Why there can be none here; undefined when there can. */
export const bottleneckMissing = (): Promise<string | undefined> => tapMissing('ethtool', 'sysctl')

/** Builds all of it. */
export async function bottleneck(): Promise<Bottleneck> {
  const closing: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const step of closing.reverse()) await step()
  }
  try {
    return { ...(await built(closing)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function built(closing: (() => unknown)[]): Promise<Omit<Bottleneck, 'close'>> {
  const [near, far] = [namespace(), namespace()] as const
  closing.push(
    () => near.remove(),
    () => far.remove(),
  )
  for (const { name } of [near, far]) {
    for (const setting of SYSCTLS) inside(name, 'sysctl', '-q', '-w', setting)
  }
  const relay = await started(closing, [process.execPath, ...script('bottleneck-relay.ts', near.name, far.name)])
  const node = await boot(host(tapDevice({ name: 'ours0', netns: near.name }), `${OURS}/24`), 'ours')
  closing.push(() => node.close())
  joined(near, far)
  const end = ({ name }: Namespace): Promise<Remote> =>
    started(closing, ['ip', 'netns', 'exec', name, process.execPath, ...script('bottleneck-end.ts')])
  const [sender, receiver] = [await end(near), await end(far)] as const
  await receiver.ask({ do: 'listen', port: PORT } satisfies EndCommand)
  // Everybody knows everybody's address before anything can be lost.
  await node.icmp.ping(FAR)
  inside(near.name, 'ping', '-q', '-c', '1', FAR)
  return {
    set: async (settings) => void (await relay.ask(settings)),
    state: async () => (await relay.ask(null)) as LinkState,
    send: async (who) => {
      const sending = who === 'ours' ? await ours(node) : await kernels(sender)
      return {
        received: async () =>
          (await receiver.ask({ do: 'received', port: sending.port } satisfies EndCommand)) as number,
        stop: async () => sending.stop(),
      }
    },
  }
}

/** Puts the senders behind one bridge, and gives the kernel its addresses. */
function joined(near: Namespace, far: Namespace): void {
  near.ip('link', 'add', 'bridge0', 'type', 'bridge')
  for (const device of ['near0', 'ours0']) near.ip('link', 'set', device, 'master', 'bridge0')
  near.ip('link', 'set', 'bridge0', 'up')
  near.ip('address', 'add', `${KERNEL}/24`, 'dev', 'bridge0')
  // A namespace may not choose among all that the kernel has as its default, but a route may.
  near.ip('route', 'replace', FAR, 'dev', 'bridge0', 'congctl', 'cubic')
  far.ip('address', 'add', `${FAR}/24`, 'dev', 'far0')
  for (const [{ name, ip }, devices] of [
    [near, ['near0', 'ours0', 'bridge0']],
    [far, ['far0']],
  ] as const) {
    for (const device of devices) {
      ip('link', 'set', device, 'txqueuelen', String(DEVICE_QUEUE))
      inside(name, 'ethtool', '-K', device, 'tso', 'off', 'gso', 'off', 'gro', 'off')
    }
  }
}

// Ours is meant to be used in place of Node's; its types say so of the parts, not of the module.
const ours = (node: Node<Sockets>): Promise<Flow> => flow(netOf(node), PORT, FAR)

async function kernels(sender: Remote): Promise<{ port: number; stop(): Promise<void> }> {
  const port = (await sender.ask({ do: 'send', host: FAR, port: PORT } satisfies EndCommand)) as number
  return {
    port,
    stop: async () => void (await sender.ask({ do: 'stop', port } satisfies EndCommand)),
  }
}

function inside(name: string, ...command: readonly string[]): void {
  execFileSync('ip', ['netns', 'exec', name, ...command], { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** A process that answers each message by one, in order. */
class Remote {
  private readonly child: ChildProcess
  private readonly waiting: ((answer: unknown) => void)[] = []

  constructor(child: ChildProcess) {
    this.child = child
    child.on('message', (answer) => this.waiting.shift()?.(answer))
  }

  ask(command: object | null): Promise<unknown> {
    const answer = this.next()
    // Node takes null for a message, and its types do not say so.
    this.child.send(command as object)
    return answer
  }

  next(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const failed = (code: number | null): void =>
        reject(new Error(`${this.child.spawnargs.join(' ')} ended with ${code}`))
      this.child.once('exit', failed)
      this.waiting.push((answer) => {
        this.child.off('exit', failed)
        resolve(answer)
      })
    })
  }
}

async function started(closing: (() => unknown)[], [program = '', ...args]: readonly string[]): Promise<Remote> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  closing.push(() => {
    process.off('exit', kill)
    kill()
    return gone
  })
  const remote = new Remote(child)
  await remote.next()
  return remote
}
