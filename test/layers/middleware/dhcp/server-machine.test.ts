/** What a server gives, refuses and answers, message by message (RFC 2131 §4.3). */
import t from 'tap'
import { type Message, type MessageType, OPTION, TYPE } from '../../../../layers/middleware/dhcp/message.ts'
import {
  type Answer,
  type ServerDrop,
  ServerMachine,
  type ServerSettings,
} from '../../../../layers/middleware/dhcp/server-machine.ts'
import { ofText, ofWord, wordOf } from '../../../../layers/middleware/dhcp/values.ts'
import { type Instant, seconds } from '../../../../src/kernel/clock.ts'

const NET = 0x0a00_0000
const SERVER = NET | 1
const FIRST = NET | 100
const RESERVED = NET | 103
const OTHER_NET = 0x0b00_0001

const settings: ServerSettings = {
  address: SERVER,
  length: 24,
  first: FIRST,
  last: FIRST + 5,
  reservations: [{ chaddr: 3, address: RESERVED }],
  leaseTime: seconds(600),
  options: new Map([[OPTION.routers, ofWord(SERVER)]]),
  authoritative: true,
}

type Fields = Partial<Omit<Message, 'options'>> & {
  wish?: number
  server?: number
  id?: Uint8Array
  relay?: Uint8Array
}

/** A server, and clients that are their hardware addresses. */
class Stand {
  readonly machine: ServerMachine

  constructor(changed: Partial<ServerSettings> = {}) {
    this.machine = new ServerMachine({ ...settings, ...changed })
  }

  say(type: MessageType, chaddr: number, now: Instant, fields: Fields = {}): Answer | ServerDrop | undefined {
    const { wish, server, id, relay, ...header } = fields
    const options = new Map<number, Uint8Array>()
    if (wish !== undefined) options.set(OPTION.requestedAddress, ofWord(wish))
    if (server !== undefined) options.set(OPTION.server, ofWord(server))
    if (id !== undefined) options.set(OPTION.clientId, id)
    if (relay !== undefined) options.set(OPTION.relayAgent, relay)
    return this.machine.input(
      {
        ...{ reply: false, type, xid: 7, secs: 0, broadcast: false, ciaddr: 0, yiaddr: 0, giaddr: 0, chaddr, options },
        ...header,
      },
      now,
    )
  }

  /** What comes of asking for an address as one's former one: whether it is given. */
  gets(address: number, chaddr: number, now: Instant): boolean {
    const answer = this.say(TYPE.request, chaddr, now, { wish: address })
    return typeof answer === 'object' && answer.message.type === TYPE.ack
  }
}

t.test('an offer holds for a minute, unless the client chooses another server', async (t) => {
  const stand = new Stand()
  stand.say(TYPE.discover, 50, 0, { wish: FIRST })
  t.notOk(stand.gets(FIRST, 51, seconds(59.9)))
  t.ok(stand.gets(FIRST, 51, seconds(60)))
  stand.say(TYPE.discover, 52, seconds(60), { wish: FIRST + 1 })
  t.equal(stand.say(TYPE.request, 52, seconds(61), { server: NET | 9, wish: FIRST + 1 }), 'notForUs')
  t.ok(stand.gets(FIRST + 1, 53, seconds(61)))
})

t.test('who looks round for servers keeps the lease it has', async (t) => {
  const stand = new Stand()
  t.ok(stand.gets(FIRST, 50, 0))
  t.match(stand.say(TYPE.discover, 50, seconds(1)), { message: { type: TYPE.offer, yiaddr: FIRST } })
  t.notOk(stand.gets(FIRST, 51, seconds(599)))
  t.ok(stand.gets(FIRST, 51, seconds(600)), 'until it ends')
})

t.test('a client is offered what it wishes for, where that is free', async (t) => {
  const stand = new Stand()
  t.match(stand.say(TYPE.discover, 50, 0, { wish: FIRST + 4 }), { message: { yiaddr: FIRST + 4 } })
  const answer = stand.say(TYPE.discover, 51, 0, { wish: FIRST + 4 }) as Answer
  t.not(answer.message.yiaddr, FIRST + 4)
})

t.test('a declined address rests for an hour; nobody declines or releases for another', async (t) => {
  const stand = new Stand()
  t.ok(stand.gets(FIRST, 50, 0) && stand.gets(FIRST + 1, 51, 0))
  t.equal(stand.say(TYPE.decline, 50, 0, { wish: FIRST + 1 }), 'unknownClient')
  t.equal(stand.say(TYPE.release, 50, 0, { ciaddr: FIRST + 1 }), 'unknownClient')
  t.equal(stand.say(TYPE.decline, 52, 0, { wish: FIRST }), 'unknownClient')
  t.notOk(stand.gets(FIRST, 52, 0) || stand.gets(FIRST + 1, 52, 0))
  t.equal(stand.say(TYPE.decline, 50, 0, { wish: FIRST }), undefined)
  t.equal(stand.say(TYPE.release, 51, 0, { ciaddr: FIRST + 1 }), undefined)
  t.ok(stand.gets(FIRST + 1, 52, 0))
  t.notOk(stand.gets(FIRST, 53, seconds(3599)))
  t.ok(stand.gets(FIRST, 53, seconds(3600)))
})

t.test('the times of a lease, and what is given besides', async (t) => {
  const { message } = new Stand().say(TYPE.request, 50, 0, { wish: FIRST }) as Answer
  const words = [OPTION.leaseTime, OPTION.renewalTime, OPTION.rebindingTime, OPTION.subnetMask, OPTION.routers]
  t.strictSame(
    words.map((code) => wordOf(message, code)),
    [600, 300, 525, 0xffff_ff00 | 0, SERVER],
  )
  const informed = (new Stand().say(TYPE.inform, 50, 0, { ciaddr: NET | 9 }) as Answer).message
  t.strictSame([...informed.options.keys()].sort(), [OPTION.routers, OPTION.server], 'no times (§4.3.5)')
  t.equal(informed.yiaddr, 0)
})

t.test('every answer has what a relay and the client said of themselves (RFC 3046 §2.2, RFC 6842)', async (t) => {
  const [id, relay] = [ofText('\0me'), Uint8Array.of(1, 2, 7, 7)]
  const stand = new Stand()
  for (const [type, said, wish] of [
    [TYPE.discover, TYPE.offer, FIRST],
    [TYPE.request, TYPE.ack, FIRST],
    [TYPE.inform, TYPE.ack, FIRST],
    [TYPE.request, TYPE.nak, OTHER_NET],
  ] as const) {
    const { message, to, port } = stand.say(type, 50, 0, { id, relay, wish, giaddr: NET | 5 }) as Answer
    t.equal(message.type, said)
    t.strictSame([to, port], [NET | 5, 67])
    t.strictSame([message.options.get(OPTION.clientId), message.options.get(OPTION.relayAgent)], [id, relay])
    t.equal(wordOf(message, OPTION.server), SERVER)
    t.equal(message.broadcast, said === TYPE.nak, 'a relay is to tell everybody of a refusal (§4.3.2)')
  }
})

t.test('an offer has no address of the client, an acknowledgment the one it came with', async (t) => {
  const stand = new Stand()
  const offer = stand.say(TYPE.discover, 50, 0, { ciaddr: NET | 9, wish: FIRST }) as Answer
  t.strictSame([offer.message.ciaddr, offer.message.yiaddr], [0, FIRST])
  t.ok(stand.gets(FIRST, 50, 0))
  const renewed = stand.say(TYPE.request, 50, 0, { ciaddr: FIRST }) as Answer
  t.strictSame([renewed.message.ciaddr, renewed.to, renewed.port], [FIRST, FIRST, 68])
})

t.test('who clients are: their identifier, if it is one, else their hardware', async (t) => {
  const stand = new Stand()
  const address = (chaddr: number, id: Uint8Array): number =>
    (stand.say(TYPE.discover, chaddr, 0, { id }) as Answer).message.yiaddr
  t.equal(address(50, ofText('\0a')), address(51, ofText('\0a')), 'one client with two adapters')
  t.not(address(52, ofText('a')), address(53, ofText('a')), 'one octet identifies nobody (RFC 2132 §9.14)')
  address(3, ofText('\0a'))
  t.match(
    [...stand.machine.leases].filter(({ chaddr }) => chaddr === 3),
    [{ address: RESERVED, key: '00:00:00:00:00:03' }],
    'whom an address is reserved for is known by its hardware',
  )
})

t.test('a reservation is more than a lease of before', async (t) => {
  const stand = new Stand()
  const before = { address: RESERVED, key: '00:00:00:00:00:32', chaddr: 50, hostName: '', until: seconds(600) }
  stand.machine.leases.restore({ ...before, state: 'leased' })
  t.match(stand.say(TYPE.request, 50, 0, { ciaddr: RESERVED }), { message: { type: TYPE.nak } })
  t.ok(stand.gets(RESERVED, 3, 0))
})

t.test('what is not for a server, and what one leaves to others', async (t) => {
  const stand = new Stand({ authoritative: false })
  t.equal(stand.say(TYPE.discover, 50, 0, { reply: true }), 'notForUs')
  for (const type of [TYPE.offer, TYPE.ack, TYPE.nak]) t.equal(stand.say(type, 50, 0), 'notForUs')
  t.equal(stand.say(TYPE.request, 50, 0, { ciaddr: FIRST }), 'unknownClient')
  t.match(
    stand.say(TYPE.request, 50, 0, { wish: OTHER_NET }),
    { message: { type: TYPE.nak } },
    'nobody gives that here',
  )
})
