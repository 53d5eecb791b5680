/**
 * Links by `stream:` as a user runs them, with QEMU's framing at the other end: no machine, but its hub of networks, on which
 * are a stream that comes to us, one that waits for us, and QEMU's own host of 10.0.2.2.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ask } from '../../tools/control/client.ts'
import type { LinkStatus, PingAnswer } from '../../tools/control/node-methods.ts'
import { Daemons } from './daemons.ts'
import { type Cleaning, oracle } from './helpers.ts'

t.setTimeout(60_000)

/** @param card where somebody listens already. @param plug where QEMU listens. */
async function qemu(t: Cleaning, card: string, plug: string): Promise<ChildProcess> {
  const networks = [
    'user,restrict=on',
    `stream,server=off,addr.type=unix,addr.path=${card}`,
    `stream,server=on,addr.type=unix,addr.path=${plug}`,
  ]
  const hub = networks.flatMap((network, i) => [
    ...['-netdev', `${network},id=n${i}`],
    ...['-netdev', `hubport,id=h${i},hubid=0,netdev=n${i}`],
  ])
  const machine = ['-M', 'none', '-nodefaults', '-display', 'none', '-monitor', 'stdio']
  const child = spawn('qemu-system-x86_64', [...machine, ...hub], { stdio: ['pipe', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  // It listens in a turn of its own, after its monitor has greeted.
  await once(child.stdout, 'data')
  while (!existsSync(plug)) await sleep(20)
  return child
}

t.test('QEMU connects to us, and we to QEMU', { skip: oracle('qemu-system-x86_64') }, async (t) => {
  const daemons = new Daemons(t)
  const { commands, folder } = daemons
  process.env.XDG_RUNTIME_DIR = folder
  const [card, plug] = [join(folder, 'card'), join(folder, 'plug')]
  daemons.write('r', { links: { card: { link: `stream:${card},listen`, addresses: ['10.0.2.8/24'] } } })
  const router = commands.start(['router', '--config', daemons.fileOf('r')])
  await router.said(/"forwarding"/)
  const first = await qemu(t, card, plug)
  const dialled = ['--link', `stream:${plug}`, '--address', '10.0.2.9/24']

  const ear = commands.start(['nc', '-l', '9', '--name', 'ear', ...dialled])
  await ear.said(/listening/)
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

  first.kill('SIGKILL')
  for (const node of ['r', 'ear']) await linkIs(node, 'down')
  rmSync(plug)
  await qemu(t, card, plug)
  for (const node of ['r', 'ear']) await linkIs(node, 'up')
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
