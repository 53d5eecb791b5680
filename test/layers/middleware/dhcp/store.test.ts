/** Leases that are kept: no client is told of one before, and none is given to another after a crash. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  dhcpClient,
  dhcpServer,
  type LeaseEntry,
  type LeaseStore,
  type ServerEvent,
} from '../../../../layers/middleware/dhcp/index.ts'
import type { Binding } from '../../../../layers/middleware/dhcp/leases.ts'
import { encode, type Message, type MessageType, OPTION, TYPE } from '../../../../layers/middleware/dhcp/message.ts'
import { ServerMachine, type ServerSettings } from '../../../../layers/middleware/dhcp/server-machine.ts'
import { ofWord } from '../../../../layers/middleware/dhcp/values.ts'
import { cable, ethernet, ip, ipv4, sockets, stack, tcp, udp } from '../../../../src/index.ts'
import { parseAddress } from '../../../../src/kernel/address.ts'
import { type Instant, ms, seconds } from '../../../../src/kernel/clock.ts'
import { Simulation } from '../../../../src/runtime/simulation.ts'
import { holds } from '../../../property.ts'

const MAC = '02:00:00:00:00:02'

/** A store whose answers are given by hand. */
class Hand implements LeaseStore {
  readonly asked: { readonly lease: LeaseEntry; readonly kept: () => void; readonly lost: () => void }[] = []

  save(lease: LeaseEntry): Promise<void> {
    return new Promise((resolve, reject) => {
      this.asked.push({ lease, kept: resolve, lost: () => reject(new Error('the disk is full')) })
    })
  }
}

function pair(store: LeaseStore, onEvent: (event: ServerEvent) => void = () => {}) {
  const [left, right] = cable({ medium: 'ethernet' })
  const sim = new Simulation({ seed: 5 })
  const server = sim.boot(
    'server',
    stack(
      left,
      ethernet(),
      ip(ipv4({ address: '10.0.0.1/24' })),
      sockets(tcp(), udp()),
      dhcpServer({ pool: ['10.0.0.100', '10.0.0.109'], store, onEvent }),
    ),
  )
  const client = sim.boot(
    'client',
    stack(right, ethernet({ address: MAC }), ip(ipv4()), sockets(tcp(), udp()), dhcpClient()),
  )
  return { sim, server, client }
}

t.test('a client hears of its lease when it is kept, and not before', async (t) => {
  const store = new Hand()
  const { sim, server, client } = pair(store)
  await sim.run(seconds(3))
  t.equal(store.asked.length, 1, 'an offer is nothing to keep')
  t.equal(client.top.dhcp.lease, undefined)
  t.match(store.asked[0]?.lease, { state: 'leased', hardware: MAC, hostName: 'client' })
  store.asked[0]?.lost()
  await sim.run(seconds(1))
  t.equal(client.top.dhcp.lease, undefined)
  t.same([...server.top.dhcp.drops], [['notStored', 1]])
  while (store.asked.length < 2) await sim.run(seconds(1))
  store.asked[1]?.kept()
  await sim.run(seconds(1))
  t.equal(client.top.dhcp.lease?.address, `${store.asked[1]?.lease.address}/24`, 'it has asked again')
  client.top.dhcp.release()
  await sim.run(seconds(1))
  t.match(store.asked[2]?.lease, { state: 'free', hardware: MAC })
  await sim.close()
})

t.test('a server that is closed says nothing more', async (t) => {
  const store = new Hand()
  const events: ServerEvent[] = []
  const { sim, server } = pair(store, (event) => events.push(event))
  await sim.run(seconds(3))
  await server.close()
  store.asked[0]?.kept()
  await sim.run(seconds(1))
  t.same([events, ...server.top.dhcp.drops], [['offered']])
  await sim.close()
})

t.test('who has given an address back meanwhile, or is one too many, hears nothing', async (t) => {
  const store = new Hand()
  const { sim, server, client } = pair(store)
  client.top.network.addAddress('eth0', '10.0.0.50/24')
  const from = { address: parseAddress('10.0.0.50'), port: 1000 }
  const socket = client.top.datagram.bind(from, { message: () => {} })
  const say = (type: MessageType, ciaddr: number, chaddr: number): void => {
    const octets = encode({ ...message(type, chaddr, null, ciaddr), giaddr: parseAddress('10.0.0.50').w3 })
    socket.send(octets, 0, octets.length, parseAddress('10.0.0.1'), 67)
  }
  say(TYPE.request, FIRST, 7)
  await sim.run(seconds(1))
  say(TYPE.release, FIRST, 7)
  await sim.run(seconds(1))
  const at = store.asked.findIndex(({ lease }) => lease.hardware === '00:00:00:00:00:07')
  t.equal(store.asked[at]?.lease.state, 'leased')
  store.asked[at]?.kept()
  await sim.run(seconds(1))
  t.equal(server.top.dhcp.drops.get('overtaken'), 1)
  const before = store.asked.length
  for (let i = 0; i < 70; i++) {
    for (let j = 0; j < 16; j++) say(TYPE.request, FIRST + 1, 8)
    await sim.run(ms(1))
  }
  t.ok((server.top.dhcp.drops.get('storeBusy') ?? 0) > 0, 'what waits is bounded')
  t.ok(store.asked.length - before <= 1024)
  await sim.close()
})

const FIRST = 0x0a00_0064
const settings: ServerSettings = {
  ...{
    address: 0x0a00_0001,
    length: 24,
    first: FIRST,
    last: FIRST + 3,
    reservations: [{ chaddr: 3, address: FIRST + 1 }],
  },
  ...{ leaseTime: seconds(600), options: new Map(), authoritative: true },
}
const message = (type: MessageType, chaddr: number, wish: number | null, ciaddr: number): Message => ({
  ...{ reply: false, type, xid: 7, secs: 0, broadcast: true, yiaddr: 0, giaddr: 0, ciaddr, chaddr },
  options: new Map(wish === null ? [] : [[OPTION.requestedAddress, ofWord(wish)]]),
})
const address = fc.integer({ min: FIRST, max: FIRST + 3 })
const event = fc.record({
  type: fc.constantFrom(TYPE.discover, TYPE.request, TYPE.request, TYPE.request, TYPE.decline, TYPE.release),
  chaddr: fc.integer({ min: 1, max: 7 }),
  ciaddr: fc.constantFrom(0, FIRST, FIRST + 1, FIRST + 2, FIRST + 3),
  wish: fc.option(address),
  later: fc.constantFrom(0, seconds(1), seconds(61), seconds(400)),
  /** What befalls the server after it has obeyed: before the lease is kept, after it, or after the answer has left. */
  crash: fc.constantFrom('', '', '', 'unkept', 'unsaid', 'said'),
})

t.test('whenever a server crashes, the next one gives nobody what another was told of', async (t) => {
  const property = fc.property(fc.array(event, { minLength: 20, maxLength: 50 }), (events) => {
    let server = new ServerMachine(settings)
    const kept = new Map<number, Binding>()
    const told = new Map<number, { who: number; until: Instant }>()
    let now = 0
    for (const { type, chaddr, ciaddr, wish, later, crash } of events) {
      now += later
      const answer = server.input(message(type, chaddr, wish, ciaddr), now)
      const { changed } = server
      const isKept = crash !== 'unkept'
      if (changed !== undefined && isKept) {
        for (const [other, { key }] of kept) if (key !== '' && key === changed.key) kept.delete(other)
        kept.set(changed.address, { ...changed })
        for (const [at, { who }] of told) if (who === chaddr && at !== changed.address) told.delete(at)
        if (type !== TYPE.request) told.delete(changed.address)
      }
      if (typeof answer === 'object' && answer.message.type === TYPE.ack && (crash === '' || crash === 'said')) {
        const { yiaddr } = answer.message
        const holder = told.get(yiaddr)
        assert.ok(holder === undefined || holder.who === chaddr || holder.until <= now, 'another has it')
        told.set(yiaddr, { who: chaddr, until: now + settings.leaseTime })
      }
      if (crash === '') continue
      server = new ServerMachine(settings)
      for (const binding of kept.values()) server.leases.restore({ ...binding })
    }
  })
  holds(t, 'in each of 500 histories', property, { numRuns: 500 })
})
