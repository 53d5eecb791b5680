/** The file of leases: whole at every moment, read as far as it can be, and in the way of two clients with one address. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type LeaseEntry, seconds } from '../../../src/index.ts'
import { ask } from '../../../tools/control/client.ts'
import { configOf, type RouterConfig, type RouterFile } from '../../../tools/router/config.ts'
import { contradictions } from '../../../tools/router/contradictions.ts'
import { LeaseBook } from '../../../tools/router/lease-book.ts'
import { type LinkLease, Router } from '../../../tools/router/router.ts'
import { Commands, freePorts } from '../running.ts'

t.setTimeout(600_000)
const folder = mkdtempSync(join(tmpdir(), 'netstrata-leases-'))
t.teardown(() => rmSync(folder, { recursive: true }))
let count = 0
const fresh = (): string => join(folder, `${++count}.leases`)

const lease = (n: number, more: Partial<LeaseEntry> = {}): LeaseEntry => ({
  address: `10.0.${n >> 8}.${n & 255}`,
  client: `02:00:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`,
  hardware: '02:00:00:00:00:01',
  hostName: 'one',
  state: 'leased',
  until: seconds(600),
  ...more,
})

/** What the next process knows. */
async function reread(path: string): Promise<{ readonly leases: LeaseEntry[]; readonly told: string[] }> {
  const told: string[] = []
  const book = new LeaseBook(path, (problem) => told.push(problem))
  await book.ready()
  return { leases: book.of('lan', 0), told }
}

t.test('what was saved is there for the next one', async (t) => {
  const path = fresh()
  const book = new LeaseBook(path)
  await book.ready()
  await book.save('lan', lease(1), 0)
  await book.save('lan', lease(2, { client: '', state: 'declined', hostName: 'ü\n"' }), 0)
  await book.save('dmz', lease(1), 0)
  await book.save('lan', lease(3, { client: lease(1).client }), 0)
  book.put('lan', lease(4, { state: 'offered' }), 0)
  book.put('lan', lease(5), 0)
  t.equal(book.of('lan', 0).length, 3, 'an offer is no lease')
  const { leases, told } = await reread(path)
  t.match(leases, [
    { ...lease(2), client: '', state: 'declined', hostName: 'ü\n"', until: Number },
    { address: '10.0.0.3' },
  ])
  t.equal(leases.length, 2, 'a client has one address, and what was not saved is lost')
  t.ok(leases.every(({ until }) => Math.abs(until - seconds(600)) < seconds(2)))
  t.same(told, [])
  t.same(readdirSync(folder), ['1.leases'], 'nothing is left beside it')
})

t.test('changes that come together are written together, and the file is whole at every moment', async (t) => {
  const path = fresh()
  const book = new LeaseBook(path)
  await book.ready()
  const saves: Promise<void>[] = []
  let done = 0
  const wrong: string[] = []
  const look = async (): Promise<void> => {
    await nextTurn()
    const lines = readFileSync(path, 'utf8').split('\n')
    const isWhole = lines.pop() === '' && lines[0]?.startsWith('{"format":') && lines.at(-1)?.endsWith('}')
    // Those before are in it, in the order they came.
    if (!isWhole || lines.length <= done) wrong.push(`${lines.length} lines after ${done} were saved`)
  }
  for (let n = 1; n <= 3000; n++) {
    const save = book.save('lan', lease(n), 0)
    saves.push(save.then(() => void done++))
    if (n % 10 === 0) await look()
  }
  const last = book.save('lan', lease(1, { state: 'free' }), 0)
  const settled = book.settled().then(() => true)
  while (!(await Promise.race([settled, look()]))) {}
  await Promise.all([...saves, last])
  t.same(wrong, [])
  const { leases } = await reread(path)
  t.equal(leases.length, 3000)
  t.equal(leases.find(({ address }) => address === '10.0.0.1')?.state, 'free')
})

t.test('a damaged file is read as far as it can be, told of, and kept', async (t) => {
  const path = fresh()
  const book = new LeaseBook(path)
  for (const n of [1, 2, 3]) await book.save('lan', lease(n), 0)
  const text = readFileSync(path, 'utf8')
  const [head = '', one = '', two = '', three = ''] = text.split('\n')
  const whole = [head, one, two, three, ''].join('\n')
  const damages: [string, string, number, RegExp][] = [
    ['cut off', whole.slice(0, -20), 2, /line 4 has no end/],
    ['garbage', whole.replace(two, '\0\0\0'), 2, /line 3: not an object of JSON/],
    ['an address that is none', whole.replace('10.0.0.2', '10.0.0.256'), 2, /line 3: address: not an IPv4 address/],
    ['a field too many', whole.replace('"state"', '"x":1,"state"'), 2, /line 2: /],
    ['nothing', '', 0, /it is empty/],
  ]
  for (const [what, damaged, left, message] of damages) {
    writeFileSync(path, damaged)
    const { leases, told } = await reread(path)
    t.equal(leases.length, left, what)
    t.equal(told.length, 1)
    t.match(told[0], message)
    t.equal(readFileSync(`${path}.bad`, 'utf8'), damaged, 'as it was')
    t.same((await reread(path)).told, [], 'and what is left is whole again')
  }
  const longer = three.replace('10.0.0.3', '10.0.0.9').replace(/"until":"\d+/, '"until":"2999')
  writeFileSync(path, [head, longer, three, ''].join('\n'))
  t.match((await reread(path)).leases, [{ address: '10.0.0.9' }], 'of two for one client that which lasts longer')
})

t.test('what is no file of leases is left alone', async (t) => {
  const path = fresh()
  for (const text of ['root:x:0:0\n', '{"format":"netstrata leases","version":2}\n']) {
    writeFileSync(path, text)
    await t.rejects(reread(path), {
      exitCode: 3,
      message: /is no file of leases that this version reads: name another/,
    })
    t.equal(readFileSync(path, 'utf8'), text)
  }
  const fifo = fresh()
  execFileSync('mkfifo', [fifo])
  for (const other of [folder, fifo, '/dev/zero'])
    await t.rejects(reread(other), { exitCode: 3, message: `${other} is no ordinary file: leases are kept in a file` })
  await t.rejects(reread(join(folder, 'absent', 'x')), { code: 'ENOENT' })
})

t.test('what cannot be written is told once, and nobody gets it', async (t) => {
  const place = join(folder, 'goes')
  mkdirSync(place)
  const told: string[] = []
  const book = new LeaseBook(join(place, 'x'), (problem) => told.push(problem))
  await book.save('lan', lease(1), 0)
  rmSync(place, { recursive: true })
  await t.rejects(book.save('lan', lease(2), 0), { code: 'ENOENT' })
  await t.rejects(book.save('lan', lease(2), 0), { code: 'ENOENT' })
  t.equal(told.length, 1)
  t.match(told[0], /leases cannot be kept, so none is given: ENOENT/)
  mkdirSync(place)
  await book.save('lan', lease(2), 0)
  rmSync(place, { recursive: true })
  await t.rejects(book.save('lan', lease(3), 0))
  t.equal(told.length, 2, 'and once more, when it had been right meanwhile')
})

t.test('what ended long ago is forgotten', async (t) => {
  const path = fresh()
  const book = new LeaseBook(path)
  const day = seconds(86_400)
  await book.save('lan', lease(1, { state: 'free', until: -8 * day }), 0)
  await book.save('lan', lease(2, { state: 'free', until: -6 * day }), 0)
  t.match((await reread(path)).leases, [{ address: '10.0.0.2' }])
})

const commands = new Commands(t)
process.env.XDG_RUNTIME_DIR = commands.folder
process.env.STATE_DIRECTORY = commands.folder

function client(name: string, own: number, peer: number, mac: string): RouterConfig {
  const rest = { routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {} } as const
  const link = `udp:127.0.0.1:${own},peer=127.0.0.1:${peer},codec=raw,mac=${mac}`
  const file: RouterFile = { name, links: { lan: { link, addresses: [], dhcp: 'client' } }, ...rest }
  t.same(contradictions(file), [])
  return configOf(file)
}

const addressOf = ({ node }: Router): string | undefined => node.top.network.links()[0]?.addresses[0]

async function leased(router: Router): Promise<string> {
  let address = addressOf(router)
  for (; address === undefined; address = addressOf(router)) await sleep(20)
  return address
}

/** It forwards before it listens to commands. */
async function answered<Answer>(node: string, method: string): Promise<Answer> {
  for (;;) {
    try {
      return (await ask(node, method)) as Answer
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error
      await sleep(20)
    }
  }
}

t.test('a server that is killed has given nobody what the next one gives to another', async (t) => {
  const [a, b, c, d] = (await freePorts(4)) as [number, number, number, number]
  const file = join(commands.folder, 'lan.yaml')
  const ports = `bridge:(udp:127.0.0.1:${a},peer=127.0.0.1:${b},codec=raw)(udp:127.0.0.1:${c},peer=127.0.0.1:${d},codec=raw)`
  writeFileSync(
    file,
    `name: giver\nlinks:\n  lan: { link: '${ports}', addresses: [10.0.0.1/24], dhcp: { pool: [10.0.0.7, 10.0.0.7] } }\n`,
  )
  const first = commands.start(['router', '--config', file])
  await first.said(/"forwarding"/)
  await using one = await Router.start(client('one', b, a, '02:00:00:00:00:01'))
  t.equal(await leased(one), '10.0.0.7/24')
  await first.interrupt('SIGKILL')

  const second = commands.start(['router', '--config', file])
  await second.said(/"forwarding"/)
  await using two = await Router.start(client('two', d, c, '02:00:00:00:00:02'))
  const leases = await answered<LinkLease[]>('giver', 'leases')
  t.match(leases, [
    { link: 'lan', address: '10.0.0.7', hardware: '02:00:00:00:00:01', hostName: 'one', state: 'leased' },
  ])
  await sleep(500)
  t.equal(addressOf(two), undefined, 'it has asked, and there is none left')
  await one.reload({ ...one.state, services: [] })
  t.equal(await leased(two), '10.0.0.7/24', 'now there is')
  t.match(await second.interrupt('SIGTERM'), { code: 0 })
  const [, line = ''] = readFileSync(join(commands.folder, 'giver.leases'), 'utf8').split('\n')
  t.match(JSON.parse(line), { link: 'lan', hostName: 'two' })
})

t.test('a file of leases that is none keeps a router from starting, and from being reloaded', async (t) => {
  const path = fresh()
  writeFileSync(path, 'something else')
  const rest = { routes: [], clampMss: false, reversePath: 'off', faults: false, hosts: {} } as const
  const link = { link: 'udp:127.0.0.1:0', addresses: ['10.0.0.1/24'] }
  const { fixture, state } = configOf({ name: 'R', links: { lan: link }, ...rest })
  const dhcp = { pool: ['10.0.0.7', '10.0.0.7'] }
  const giving = configOf({ name: 'R', links: { lan: { ...link, dhcp } }, ...rest }).state
  const message = /\+ DHCP server on lan.*no file of leases.*nothing was changed/
  await t.rejects(Router.start({ fixture, state: giving }, new LeaseBook(path)), { message })
  await using router = await Router.start({ fixture, state }, new LeaseBook(path))
  await t.rejects(router.reload(giving), { message })
  rmSync(path)
  t.equal((await router.reload(giving)).length, 1, 'and it can be put right')
})
