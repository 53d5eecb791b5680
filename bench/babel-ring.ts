/**
 * How long packets do not arrive after a cut in a ring of ten routers: ten processes of ours beside ten of babeld, each in a
 * namespace, with the default timers of Babel. A silent cut leaves both ends of the link up, so that only hellos tell; when the
 * link is down, the kernels at its ends tell at once.
 *
 *      0 ── 1 ── 2 ── 3 ── 4
 *      ╎                   │     ╎ goes through a switch, whose ports are pulled or go down
 *      9 ── 8 ── 7 ── 6 ── 5
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SpeakerOptions } from '../test/interop/babel-speaker.ts'
import { type Bench, figure, median, sleep } from './harness.ts'
import { type Child, type Namespace, namespace, start } from './processes.ts'

const ROUTERS = 10
const SPEAKER = fileURLToPath(new URL('../test/interop/babel-speaker.ts', import.meta.url))
/** Until the direct way is taken again after the link is whole: hellos, and an update. */
const HEALING_MS = 30_000
const PATIENCE_MS = 60_000
const HELLO_SECONDS = 4

type Kind = 'ours' | 'babeld'
const CUTS = ['silent cut', 'link down'] as const
type Cut = (typeof CUTS)[number]

/** Ten routers of a kind, and what goes from the first to the last all the time. */
class Ring {
  private readonly nodes: Namespace[] = []
  private readonly children: Child[] = []
  private readonly folder = mkdtempSync(join(tmpdir(), 'babel-ring-'))
  private readonly middle: Namespace
  private ping: ReturnType<typeof spawn> | undefined
  /** When answers arrived, by the clock of the machine, in ms. */
  private readonly answers: number[] = []

  constructor() {
    this.middle = namespace()
    this.middle.ip('link', 'add', 'switch', 'type', 'bridge')
    this.middle.ip('link', 'set', 'switch', 'up')
    for (let i = 0; i < ROUTERS; i++) this.nodes.push(router(i))
    for (const [i, node] of this.nodes.entries()) {
      if (i + 1 < ROUTERS) wire(node, 'next', this.nodes[i + 1] as Namespace, 'previous')
    }
    this.plug(this.nodes[0] as Namespace, 'previous', 'first')
    this.plug(this.nodes[ROUTERS - 1] as Namespace, 'next', 'last')
    for (const [i, node] of this.nodes.entries()) {
      node.ip('addr', 'add', `10.1.${i}.1/24`, 'dev', 'next')
      node.ip('addr', 'add', `10.1.${(i + ROUTERS - 1) % ROUTERS}.2/24`, 'dev', 'previous')
    }
  }

  async begin(kind: Kind): Promise<void> {
    const started = this.nodes.map(({ name }, i) =>
      start('ip', ['netns', 'exec', name, ...(kind === 'ours' ? speaker(i) : babeld(i, this.folder))]),
    )
    this.children.push(...(await Promise.all(started)))
    const to = `10.255.0.${ROUTERS}`
    const words = ['netns', 'exec', this.nodes[0]?.name ?? '', 'ping', '-n', '-D', '-i', '0.05', '-I', '10.255.0.1', to]
    this.ping = spawn('ip', words, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.ping.stdout?.on('data', (chunk: Buffer) => {
      for (const [, at] of chunk.toString().matchAll(/\[(\d+\.\d+)\] \d+ bytes from/g))
        this.answers.push(Number(at) * 1000)
    })
  }

  /** Waits until both ends use the link that is to be cut. @throws Error — they do not. */
  async settled(): Promise<void> {
    const uses = (node: Namespace | undefined, to: number, device: string): boolean => {
      const { stdout } = spawnSync('ip', ['-n', node?.name ?? '', 'route', 'get', `10.255.0.${to}`])
      return stdout.toString().includes(` dev ${device} `)
    }
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(500)) {
      if (uses(this.nodes[0], ROUTERS, 'previous') && uses(this.nodes[ROUTERS - 1], 1, 'next')) return
    }
    throw new Error('the ring has not converged')
  }

  /** Cuts the link. @returns the seconds without answers. @throws Error — there were none before, or none at all again. */
  async cut(how: Cut): Promise<number> {
    if (how === 'silent cut') this.middle.ip('link', 'set', 'last', 'nomaster')
    else for (const port of ['first', 'last']) this.middle.ip('link', 'set', port, 'down')
    const at = Date.now()
    if (!((this.answers.at(-1) ?? 0) > at - 2000)) throw new Error('nothing was answered')
    for (const end = at + PATIENCE_MS; Date.now() < end; await sleep(50)) {
      // What had passed the switch already is answered within milliseconds.
      const first = this.answers.find((answered) => answered > at + 100)
      if (first !== undefined) return (first - at) / 1000
    }
    throw new Error('no way was found round the ring')
  }

  heal(): void {
    for (const port of ['first', 'last']) this.middle.ip('link', 'set', port, 'up')
    this.middle.ip('link', 'set', 'last', 'master', 'switch')
  }

  async close(): Promise<void> {
    this.ping?.kill()
    for (const child of this.children) await child.stop()
    for (const node of [...this.nodes, this.middle]) node.remove()
    rmSync(this.folder, { recursive: true })
  }

  private plug(node: Namespace, device: string, port: string): void {
    wire(node, device, this.middle, port)
    this.middle.ip('link', 'set', port, 'master', 'switch')
  }
}

/** A router of the kernel's, whose address is to be found by others. */
function router(i: number): Namespace {
  const node = namespace()
  const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0']
  // The way there and the way back may differ for a moment.
  settings.push('net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.default.rp_filter=0')
  spawnSync('ip', ['netns', 'exec', node.name, 'sysctl', '-q', '-w', ...settings])
  node.ip('addr', 'add', `10.255.0.${i + 1}/32`, 'dev', 'lo')
  return node
}

function wire(a: Namespace, near: string, b: Namespace, far: string): void {
  a.ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', b.name)
  a.ip('link', 'set', near, 'up')
  b.ip('link', 'set', far, 'up')
}

function speaker(i: number): string[] {
  const options: SpeakerOptions = {
    seed: i,
    helloSeconds: HELLO_SECONDS,
    watchLinks: true,
    interfaces: [
      { name: 'next', nextHop4: `10.1.${i}.1` },
      { name: 'previous', nextHop4: `10.1.${(i + ROUTERS - 1) % ROUTERS}.2` },
    ],
    announce: [`10.255.0.${i + 1}/32`],
  }
  return [process.execPath, '--import=tsx', SPEAKER, JSON.stringify(options)]
}

function babeld(i: number, folder: string): string[] {
  const files = ['-I', join(folder, `${i}.pid`), '-S', join(folder, `${i}.state`)]
  const rules = ['default type wired', 'redistribute local ip 10.255.0.0/16', 'redistribute local deny']
  const words = ['babeld', ...files, ...rules.flatMap((rule) => ['-C', rule]), 'next', 'previous']
  return ['sh', '-c', 'echo started; exec "$@"', 'sh', ...words]
}

export const babelRing: Bench = async (effort, tell) => {
  const missing = lacking()
  if (missing !== undefined) {
    tell({ bench: 'babel-ring', metric: 'all', skipped: missing })
    return
  }
  process.setMaxListeners(0) // each namespace and process of two rings is seen to when we end
  const rings: Record<Kind, Ring> = { ours: new Ring(), babeld: new Ring() }
  try {
    await Promise.all([rings.ours.begin('ours'), rings.babeld.begin('babeld')])
    for (const how of CUTS) {
      const times: Record<Kind, number[]> = { ours: [], babeld: [] }
      for (let run = 0; run < effort.runs; run++) {
        await sleep(HEALING_MS)
        await Promise.all([rings.ours.settled(), rings.babeld.settled()])
        // Hellos of a ring are where they are: cuts at the same instant, and of all phases.
        await sleep((run * HELLO_SECONDS * 1000) / effort.runs)
        const [ours, theirs] = await Promise.all([rings.ours.cut(how), rings.babeld.cut(how)])
        times.ours.push(ours)
        times.babeld.push(theirs)
        rings.ours.heal()
        rings.babeld.heal()
      }
      const gate = { bench: 'babel-ring', metric: how, unit: 's', peer: 'babeld', target: 1, atMost: true } as const
      tell(figure(gate, median(times.ours), median(times.babeld), effort))
    }
  } finally {
    await rings.ours.close()
    await rings.babeld.close()
  }
}

function lacking(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root, to make network namespaces'
  for (const program of ['ip', 'ping', 'babeld']) {
    if (spawnSync(program, ['-V'], { stdio: 'ignore' }).error !== undefined) return `needs ${program}`
  }
  return undefined
}
