/** Addresses that two stations have: what a node knows of it, and how its owner is told. */
import t from 'tap'
import type { Ipv4Options, Ipv6Options, Node, Sockets } from '../../src/index.ts'
import { cable, ethernet, ip, ipv4, ipv6, Simulation, seconds, sockets, stack, tcp, udp } from '../../src/index.ts'
import { findingText } from '../../tools/commands/doctor.ts'
import { checkNode } from '../../tools/commands/doctor-checks.ts'
import { statusText } from '../../tools/commands/status.ts'
import { type NodeStatus, nodeMethods } from '../../tools/control/node-methods.ts'
import { serveControl } from '../../tools/control/server.ts'
import { Commands } from './running.ts'

const MAC_A = '02:00:00:00:00:0a'
const conflicts = (node: Node<Sockets>) => node.top.network.links().flatMap((link) => link.conflicts)

/** A, and five seconds later B on the same cable. */
async function two(v4: Ipv4Options, v6: Ipv6Options) {
  const sim = new Simulation()
  const [left, right] = cable()
  const boot = (name: string, end: typeof left, address: string) =>
    sim.boot(name, stack(end, ethernet({ address }), ip(ipv4(v4), ipv6(v6)), sockets(tcp(), udp())))
  const a = boot('A', left, MAC_A)
  await sim.run(seconds(5))
  const b = boot('B', right, '02:00:00:00:00:0b')
  const told: string[] = []
  b.top.network.onConflict((link, { address, lost }) => told.push(`${link} ${address} ${lost}`))
  return { sim, a, b, told }
}

t.test('who comes second does not use the address, and says so until it has another', async (t) => {
  const { sim, a, b, told } = await two(
    { address: '10.0.0.1/24', arp: { detectConflicts: true } },
    { address: 'fd00::1/64' },
  )
  await sim.run(seconds(10))
  t.match(b.top.network.links(), [{ addresses: [/^fe80::/] }])
  const lost = { linkAddress: MAC_A, lost: true }
  t.match(conflicts(b), [
    { address: 'fd00::1', ...lost, times: 1 },
    { address: '10.0.0.1', ...lost },
  ])
  t.same(conflicts(a), [], 'whoever was there first need not mind')
  t.same(told, ['eth0 fd00::1 true', 'eth0 10.0.0.1 true'])
  await sim.run(seconds(3600))
  t.equal(conflicts(b).length, 2, 'it is not over by itself')
  b.top.network.removeAddress('eth0', '10.0.0.1')
  t.match(conflicts(b), [{ address: 'fd00::1' }])
  b.top.network.addAddress('eth0', 'fd00::1/64')
  t.same(conflicts(b), [], 'it is tried again')
  await sim.run(seconds(10))
  t.match(conflicts(b), [lost])
  await sim.close()
})

t.test('an address that both keep is told of once, until nothing was heard for ten minutes', async (t) => {
  const { sim, a, b, told } = await two({ address: '10.0.0.1/24' }, { neighbours: { duplicateTransmits: 0 } })
  await sim.run(seconds(10))
  t.match(conflicts(a), [{ address: '10.0.0.1', linkAddress: '02:00:00:00:00:0b', lost: false }])
  t.match(b.top.network.links(), [{ addresses: ['10.0.0.1/24', /^fe80::/] }])
  t.same(told, ['eth0 10.0.0.1 false'])
  t.ok((conflicts(a)[0]?.times ?? 0) > 1, 'though it was heard several times')
  await sim.run(seconds(600))
  t.same([conflicts(a), conflicts(b)], [[], []])
  await sim.close()
})

t.test('status, links and doctor say it', async (t) => {
  const commands = new Commands(t)
  process.env.XDG_RUNTIME_DIR = commands.folder
  const { sim, b } = await two({ address: '10.0.0.1/24' }, { address: 'fd00::1/64' })
  await sim.run(seconds(10))
  const methods = nodeMethods(b)
  const control = await serveControl('B', methods)
  const status = methods.calls.status?.(undefined) as NodeStatus
  t.match(statusText(status), /\nconflicts +2 of its addresses that others use, too: netstrata doctor @B\n/)
  const found: string[] = []
  for await (const finding of checkNode('B')) found.push(findingText(finding))
  const about = found.filter((text) => /address/.test(text)).sort()
  t.match(about, [
    /^FAIL {2}address fd00::1 on eth0: it is not used, as 02:00:00:00:00:0a has it\n {6}→ give .* another address; .* start the/,
    /^warn {2}address 10\.0\.0\.1 on eth0: 02:00:00:00:00:0a uses it, too: .*\n {6}→ give .* another address$/,
  ])
  t.match(
    (await commands.run('links', '@B')).out,
    /\n {8}conflict: 02:00:00:00:00:0a uses fd00::1, so it is not used here\n/,
  )
  await control.close()
  await sim.close()
})
