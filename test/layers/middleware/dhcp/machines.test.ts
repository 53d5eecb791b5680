import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ClientMachine } from '../../../../layers/middleware/dhcp/client-machine.ts'
import { type Message, type MessageType, OPTION, TYPE } from '../../../../layers/middleware/dhcp/message.ts'
import { ServerMachine, type ServerSettings } from '../../../../layers/middleware/dhcp/server-machine.ts'
import { ofText, ofWord, wordOf } from '../../../../layers/middleware/dhcp/values.ts'
import { seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'
import { holds } from '../../../property.ts'

const NET = 0x0a00_0000
const SERVER = NET | 1
const FIRST = NET | 100
const POOL = 6
const RESERVED = NET | 102

const settings: ServerSettings = {
  address: SERVER,
  length: 24,
  first: FIRST,
  last: FIRST + POOL - 1,
  reservations: [{ chaddr: 3, address: RESERVED }],
  leaseTime: seconds(600),
  options: new Map(),
  authoritative: true,
}

const message = (type: MessageType, chaddr: number, options: [number, Uint8Array][] = [], ciaddr = 0): Message => ({
  ...{ reply: false, type, xid: 7, secs: 0, broadcast: true, yiaddr: 0, giaddr: 0 },
  ...{ ciaddr, chaddr, options: new Map(options) },
})

const address = fc.oneof(
  fc.integer({ min: FIRST - 2, max: FIRST + POOL + 1 }),
  fc.constantFrom(0, SERVER, -1, 0x0b00_0001),
)
const asked = fc.record({
  type: fc.integer({ min: 1, max: 8 }) as fc.Arbitrary<MessageType>,
  chaddr: fc.integer({ min: 1, max: 12 }),
  ciaddr: address,
  wish: fc.option(address),
  server: fc.option(fc.constantFrom(SERVER, NET | 9)),
  id: fc.option(fc.constantFrom('a', 'b')),
  later: fc.constantFrom(0, seconds(1), seconds(61), seconds(700)),
})

/** Each address is somebody's alone, and there are no more of them than there are. */
function check(server: ServerMachine): void {
  const held = [...server.leases].filter(({ key }) => key !== '')
  const addresses = new Set(held.map((one) => one.address))
  assert.equal(addresses.size, held.length, 'an address is listed twice')
  assert.equal(new Set(held.map(({ key }) => key)).size, held.length, 'a client is listed twice')
  for (const { address, chaddr } of held) {
    const inPool = address >= FIRST && address < FIRST + POOL
    assert.ok(inPool && (address !== RESERVED || chaddr === 3), `${address} is no address to give`)
  }
}

t.test('whatever clients say, nobody gets what another has', async (t) => {
  const property = fc.property(fc.array(asked, { minLength: 30, maxLength: 60 }), (sequence) => {
    const server = new ServerMachine(settings)
    /** Who was told that an address is theirs, and until when. */
    const told = new Map<number, { who: string; until: number }>()
    let now = 0
    for (const { type, chaddr, ciaddr, wish, server: which, id, later } of sequence) {
      now += later
      const options: [number, Uint8Array][] = []
      if (wish !== null) options.push([OPTION.requestedAddress, ofWord(wish)])
      if (which !== null) options.push([OPTION.server, ofWord(which)])
      if (id !== null) options.push([OPTION.clientId, ofText(`\0${id}`)])
      const who = chaddr === 3 || id === null ? `hardware ${chaddr}` : id
      const answer = server.input(message(type, chaddr, options, ciaddr), now)
      check(server)
      if (type === TYPE.release && told.get(ciaddr)?.who === who) told.delete(ciaddr)
      if (type === TYPE.decline && wish !== null && told.get(wish)?.who === who) told.delete(wish)
      if (typeof answer !== 'object' || type === TYPE.inform || answer.message.type === TYPE.nak) continue
      const { yiaddr } = answer.message
      const holder = told.get(yiaddr)
      assert.ok(holder === undefined || holder.who === who || holder.until <= now, 'another has it')
      if (answer.message.type === TYPE.ack) {
        for (const [address, { who: other }] of told) if (other === who) told.delete(address)
        told.set(yiaddr, { who, until: now + settings.leaseTime })
      }
    }
  })
  holds(t, 'the table stays true', property, { numRuns: 500 })
})

t.test('a crowd that only asks cannot take what was given', async (t) => {
  const server = new ServerMachine(settings)
  const take = (chaddr: number, wish?: number) => {
    const offer = server.input(message(TYPE.discover, chaddr), 0)
    if (typeof offer !== 'object') return offer
    const chosen = wish ?? offer.message.yiaddr
    const request: [number, Uint8Array][] = [
      [OPTION.requestedAddress, ofWord(chosen)],
      [OPTION.server, ofWord(SERVER)],
    ]
    const ack = server.input(message(TYPE.request, chaddr, request), 0)
    return typeof ack === 'object' ? ack.message : ack
  }
  const first = take(50) as Message
  t.equal(first.type, TYPE.ack)
  for (let chaddr = 1000; chaddr < 2000; chaddr++) server.input(message(TYPE.discover, chaddr), 1)
  t.ok([...server.leases].length <= POOL, 'what is remembered is bounded')
  const again = server.input(message(TYPE.request, 50, [], first.yiaddr), 2)
  t.match(again, { message: { type: TYPE.ack, yiaddr: first.yiaddr } }, 'it is still renewed')
  const late = take(51) as Message
  t.equal(late.type, TYPE.ack, 'offers nobody asked for give way')
})

t.test('leases are taken back as they were, declined ones too, as far as they are still to be given', async (t) => {
  const server = new ServerMachine(settings)
  const one = { hostName: 'h', until: seconds(600) }
  const known: Parameters<typeof server.leases.restore>[0][] = [
    { ...one, address: FIRST, key: '', chaddr: 50, state: 'declined' },
    { ...one, address: FIRST + 1, key: '', chaddr: 51, state: 'declined' },
    { ...one, address: FIRST + 3, key: 'k', chaddr: 52, state: 'leased' },
    { ...one, address: RESERVED, key: 'three', chaddr: 3, state: 'leased' },
  ]
  for (const binding of known) server.leases.restore(binding)
  server.leases.restore({ ...one, address: FIRST + 50, key: 'gone', chaddr: 53, state: 'leased' })
  const listed = [...server.leases].sort((a, b) => a.address - b.address)
  t.strictSame(
    listed,
    [...known].sort((a, b) => a.address - b.address),
  )
  for (const address of [FIRST, FIRST + 1, FIRST + 3]) t.notOk(server.leases.isFree(address, 'other', 1))
})

t.test('who has a lease of the pool gets the address that was reserved for it since', async (t) => {
  const beyond = NET | 50
  const server = new ServerMachine({ ...settings, reservations: [{ chaddr: 7, address: beyond }] })
  const key = '00:00:00:00:00:07'
  server.leases.restore({ address: FIRST, key, chaddr: 7, hostName: 'h', state: 'leased', until: seconds(600) })
  const request: [number, Uint8Array][] = [
    [OPTION.requestedAddress, ofWord(beyond)],
    [OPTION.server, ofWord(SERVER)],
  ]
  t.match(server.input(message(TYPE.request, 7, [], FIRST), 0), { message: { type: TYPE.nak } }, 'it is to begin anew')
  t.match(server.input(message(TYPE.discover, 7), 0), { message: { yiaddr: beyond } })
  t.match(server.input(message(TYPE.request, 7, request), 0), { message: { type: TYPE.ack, yiaddr: beyond } })
  t.match([...server.leases], [{ address: beyond, key, state: 'leased' }])
})

t.test('the states of a request', async (t) => {
  const server = new ServerMachine(settings)
  const ask = (chaddr: number, options: [number, Uint8Array][], ciaddr = 0) => {
    const answer = server.input(message(TYPE.request, chaddr, options, ciaddr), 0)
    return typeof answer === 'object' ? [answer.message.type, answer.message.yiaddr, answer.to] : answer
  }
  const wish = (address: number): [number, Uint8Array] => [OPTION.requestedAddress, ofWord(address)]
  t.strictSame(ask(60, [wish(FIRST)]), [TYPE.ack, FIRST, 0], 'we may have forgotten what it had')
  t.strictSame(ask(61, [wish(FIRST)]), [TYPE.nak, 0, 0], 'another has it')
  t.strictSame(ask(61, [wish(0x0b00_0001)]), [TYPE.nak, 0, 0], 'it comes from another network')
  t.strictSame(ask(60, [], FIRST), [TYPE.ack, FIRST, FIRST], 'a renewal is answered where it came from')
  t.strictSame(ask(60, [wish(FIRST), [OPTION.server, ofWord(NET | 9)]]), 'notForUs')
  t.strictSame(ask(3, [wish(FIRST + 1)]), [TYPE.nak, 0, 0], 'there is an address reserved for it')
  t.strictSame(ask(3, [wish(RESERVED)]), [TYPE.ack, RESERVED, 0])
  t.strictSame(ask(61, [wish(RESERVED)]), [TYPE.nak, 0, 0])
  const modest = new ServerMachine({ ...settings, authoritative: false })
  t.equal(modest.input(message(TYPE.request, 60, [wish(FIRST)]), 0), 'unknownClient', 'another server may know it')
  const relayed = server.input({ ...message(TYPE.discover, 62), giaddr: NET | 5 }, 0)
  t.match(relayed, { to: NET | 5, port: 67 })
  t.equal(server.input({ ...message(TYPE.discover, 62), giaddr: 0x0b00_0005 }, 0), 'otherLink')
  t.match(server.input(message(TYPE.inform, 63, [], NET | 9), 0), {
    to: NET | 9,
    message: { type: TYPE.ack, yiaddr: 0 },
  })
  for (const type of [TYPE.discover, TYPE.inform]) {
    t.match(server.input(message(type, 64, [], 0x0b00_0007), 0), { to: 0 }, 'nothing is sent to another network')
  }
})

t.test('a client bears any answer, and always asks again', async (t) => {
  const answer = fc.record({
    type: fc.integer({ min: 1, max: 8 }) as fc.Arbitrary<MessageType>,
    ours: fc.boolean(),
    yiaddr: address,
    server: fc.option(fc.constantFrom(SERVER, NET | 9)),
    time: fc.option(fc.constantFrom(0, 1, 30, 3600, -1)),
    renew: fc.option(fc.constantFrom(0, 5, 1e9)),
    later: fc.constantFrom(0, seconds(1), seconds(30), seconds(4000)),
  })
  const property = fc.property(fc.array(answer, { minLength: 15, maxLength: 40 }), fc.nat(), (answers, seed) => {
    const client = new ClientMachine(
      { chaddr: 5, clientId: new Uint8Array(), hostName: 'h' },
      new SeededRandom([seed, 2, 3, 4]),
    )
    let now = 0
    let xid = 0
    client.start(now)
    const run = () => {
      for (let turns = 0; client.deadline <= now; turns++) {
        assert.ok(turns < 10, 'time goes on')
        client.expire(now)
        xid = client.output()?.message.xid ?? xid
      }
      while (client.take() !== undefined);
      xid = client.output()?.message.xid ?? xid
      assert.ok(client.deadline > now)
      assert.ok(client.state === 'bound' || Number.isFinite(client.deadline), `${client.state} waits for ever`)
    }
    run()
    for (const { type, ours, yiaddr, server, time, renew, later } of answers) {
      now += later
      run()
      const options = new Map<number, Uint8Array>()
      if (server !== null) options.set(OPTION.server, ofWord(server))
      if (time !== null) options.set(OPTION.leaseTime, ofWord(time))
      if (renew !== null) options.set(OPTION.renewalTime, ofWord(renew))
      client.input({ ...message(type, 5), reply: true, yiaddr, xid: ours ? xid : 1, options }, now)
      run()
    }
  })
  holds(t, 'it goes on', property, { numRuns: 500 })
})

t.test('times of a client', async (t) => {
  const client = new ClientMachine(
    { chaddr: 5, clientId: new Uint8Array(), hostName: '' },
    new SeededRandom([1, 2, 3, 4]),
  )
  client.start(0)
  const sent: number[] = []
  for (let now = 0; sent.length < 7; now = client.deadline) {
    client.expire(now)
    t.equal(client.output()?.message.type, TYPE.discover)
    sent.push(now)
  }
  const gaps = sent.slice(1).map((at, i) => (at - (sent[i] as number)) / seconds(1))
  for (const [i, expected] of [4, 8, 16, 32, 64, 64].entries()) {
    t.ok(Math.abs((gaps[i] as number) - expected) <= 1, `${gaps[i]} s for about ${expected} (RFC 2131 §4.1)`)
  }
  client.expire(client.deadline)
  const { message: discover } = client.output() ?? { message: message(TYPE.discover, 5) }
  const terms = new Map([
    [OPTION.server, ofWord(SERVER)],
    [OPTION.leaseTime, ofWord(1000)],
  ])
  const now = sent.at(-1) as number
  const offer = { ...message(TYPE.offer, 5), reply: true, xid: discover.xid, yiaddr: FIRST, options: terms }
  t.equal(client.input(offer, now), undefined)
  const request = client.output()?.message as Message
  t.equal(wordOf(request, OPTION.requestedAddress), FIRST)
  t.equal(client.input({ ...offer, type: TYPE.ack }, now), undefined)
  t.match(client.take(), {
    kind: 'bound',
    lease: { address: FIRST, renewAt: now + seconds(500), rebindAt: now + seconds(875) },
  })
  client.expire(now + seconds(500))
  t.match(client.output(), { to: SERVER, message: { ciaddr: FIRST, broadcast: false } }, 'renewing: the server alone')
  t.equal(client.deadline, now + seconds(687.5), 'half of what is left until it asks all')
  client.expire(now + seconds(875))
  t.match(client.output(), { to: 0, message: { ciaddr: FIRST } }, 'rebinding: anybody')
  client.expire(now + seconds(1000))
  t.match(client.take(), { kind: 'lost', reason: 'the lease has ended' })
})
