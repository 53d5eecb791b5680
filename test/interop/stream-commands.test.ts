/**
 * Links by `stream:` as a user runs them, with QEMU's framing at the other end: no machine, but its hub of networks, on which
 * are a stream that comes to us, one that waits for us, and QEMU's own host of 10.0.2.2.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ask } from '../../tools/control/client.ts'
import type { LinkStatus, PingAnswer } from '../../tools/control/node-methods.ts'
import { Daemons } from './daemons.ts'
import { type Cleaning, oracle } from './helpers.ts'

t.setTimeout(60_000)

/** `__SO_ACCEPTCON` among the flags of /proc/net/unix. */
const ACCEPTS = '00010000'

/** The hub of a QEMU: its own host is on it, and a stream that waits at `plug`; `dial` adds one that comes to us. */
class Hub {
  private readonly child: ChildProcessByStdio<Writable, Readable, null>
  private readonly answers: AsyncIterator<string>

  private constructor(t: Cleaning, plug: string) {
    const networks = ['user,restrict=on', `stream,server=on,addr.type=unix,addr.path=${plug}`]
    const hub = networks.flatMap((network, i) => [
      ...['-netdev', `${network},id=n${i}`],
      ...['-netdev', `hubport,id=h${i},hubid=0,netdev=n${i}`],
    ])
    const machine = ['-M', 'none', '-nodefaults', '-display', 'none', '-qmp', 'stdio']
    this.child = spawn('qemu-system-x86_64', [...machine, ...hub], { stdio: ['pipe', 'pipe', 'ignore'] })
    this.answers = createInterface(this.child.stdout)[Symbol.asyncIterator]()
    t.teardown(() => this.kill())
  }

  static async start(t: Cleaning, plug: string): Promise<Hub> {
    const hub = new Hub(t, plug)
    await hub.execute('qmp_capabilities')
    while (!listens(plug)) await sleep(20)
    return hub
  }

  /**
   * Connects to who listens at `card`, and puts that on the hub. QEMU 7.2 dies of a frame for a stream that has no other end yet:
   * somebody must be at the plug already, and `connected` tells when somebody is here.
   */
  async dial(card: string, connected: () => Promise<void>): Promise<void> {
    await this.execute('netdev_add', { type: 'stream', id: 'card', server: false, addr: { type: 'unix', path: card } })
    await connected()
    await this.execute('netdev_add', { type: 'hubport', id: 'h', hubid: 0, netdev: 'card' })
  }

  kill(): void {
    this.child.kill('SIGKILL')
  }

  /** @throws Error — what QEMU says, or that it has ended. */
  private async execute(command: string, options: object = {}): Promise<void> {
    this.child.stdin.write(JSON.stringify({ execute: command, arguments: options }))
    for (;;) {
      const { value = '{"error":"QEMU has ended"}' } = await this.answers.next()
      const answer = JSON.parse(value)
      if (answer.error !== undefined) throw new Error(`${command}: ${value}`)
      if (answer.return !== undefined) return
    }
  }
}

/** Whether somebody listens at a Unix path. Its file says less: a server has it from `bind` on, before `listen`. */
function listens(path: string): boolean {
  const lines = readFileSync('/proc/net/unix', 'utf8').split('\n')
  return lines.some((line) => line.endsWith(` ${path}`) && line.split(' ')[3] === ACCEPTS)
}

t.test('QEMU connects to us, and we to QEMU', { skip: oracle('qemu-system-x86_64') }, async (t) => {
  const daemons = new Daemons(t)
  const { commands, folder } = daemons
  process.env.XDG_RUNTIME_DIR = folder
  const [card, plug] = [join(folder, 'card'), join(folder, 'plug')]
  daemons.write('r', { links: { card: { link: `stream:${card},listen`, addresses: ['10.0.2.8/24'] } } })
  const router = commands.start(['router', '--config', daemons.fileOf('r')])
  await router.said(/"forwarding"/)
  const first = await Hub.start(t, plug)
  const dialled = ['--link', `stream:${plug}`, '--address', '10.0.2.9/24']

  const ear = commands.start(['nc', '-l', '9', '--name', 'ear', ...dialled])
  await ear.said(/listening/)
  await first.dial(card, () => linkIs('r', 'up'))
  const reaches = async (node: string, host: string): Promise<void> => {
    const answer = (await ask(node, 'ping', { host, size: 1400, timeout: 5000 })) as PingAnswer
    t.match(answer.reply, { outcome: 'reply', address: host, octets: 1400 }, `${node} reaches ${host}`)
  }
  await reaches('r', '10.0.2.2')
  await reaches('ear', '10.0.2.8')
  t.match(await commands.run('ping', '@ear', '10.0.2.2', '-c', '1'), {
    code: 0,
    out: /from 10\.0\.2\.2: seq=1 ttl=255/,
  })

  first.kill()
  for (const node of ['r', 'ear']) await linkIs(node, 'down')
  rmSync(plug)
  const second = await Hub.start(t, plug)
  await linkIs('ear', 'up')
  await second.dial(card, () => linkIs('r', 'up'))
  await reaches('r', '10.0.2.9')
  await reaches('ear', '10.0.2.2')
  t.equal((await router.interrupt('SIGTERM')).code, 0)
  t.equal((await ear.interrupt()).code, 130)
})

async function linkIs(node: string, state: LinkStatus['state']): Promise<void> {
  for (;;) {
    const [link] = (await ask(node, 'links')) as LinkStatus[]
    if (link?.state === state) return
    await sleep(20)
  }
}
