/** What a client says and believes, message by message (RFC 2131 §4.4). */
import t from 'tap'
import { ClientMachine, type ToSend } from '../../../../layers/middleware/dhcp/client-machine.ts'
import { type Message, type MessageType, OPTION, TYPE } from '../../../../layers/middleware/dhcp/message.ts'
import { ofText, ofWord, wordOf } from '../../../../layers/middleware/dhcp/values.ts'
import { type Instant, ms, seconds } from '../../../../src/kernel/clock.ts'
import { SeededRandom } from '../../../../src/kernel/random.ts'

const SERVER = 0x0a00_0001
const OTHER = 0x0a00_0002
const GIVEN = 0x0a00_0064

class Stand {
  readonly machine: ClientMachine = new ClientMachine(
    { chaddr: 5, clientId: ofText('\0me'), hostName: 'h' },
    new SeededRandom([1, 2, 3, 4]),
  )
  now: Instant = 0
  /** What was said last. */
  said: ToSend | undefined

  /** On to the next thing that the client does by itself. */
  next(): ToSend | undefined {
    this.now = this.machine.deadline
    this.machine.expire(this.now)
    return this.listen()
  }

  listen(): ToSend | undefined {
    const sent = this.machine.output()
    if (sent !== undefined) this.said = sent
    return sent
  }

  /** An answer to what was said last. @param lasts seconds. */
  hear(type: MessageType, changed: Partial<Message> = {}, server = SERVER, lasts = 1000): string | undefined {
    const options = new Map([
      [OPTION.server, ofWord(server)],
      [OPTION.leaseTime, ofWord(lasts)],
    ])
    const header = { reply: true, type, secs: 0, broadcast: false, ciaddr: 0, giaddr: 0, chaddr: 5 }
    const answer = { ...header, xid: this.said?.message.xid ?? 0, yiaddr: GIVEN, options, ...changed }
    return this.machine.input(answer, this.now)
  }

  offered(lasts?: number): this {
    this.machine.start(this.now)
    this.next()
    this.hear(TYPE.offer, {}, SERVER, lasts)
    this.listen()
    return this
  }

  bound(lasts?: number): this {
    this.offered(lasts).hear(TYPE.ack, {}, SERVER, lasts)
    return this
  }
}

const has = ({ message }: ToSend, code: number): boolean => message.options.has(code)

t.test('what is in each message (§4.4.1, table 5)', async (t) => {
  const stand = new Stand()
  stand.machine.start(0)
  const discover = stand.next() as ToSend
  t.match(discover, { to: 0, message: { type: TYPE.discover, broadcast: true, ciaddr: 0, secs: 0 } })
  t.notOk(has(discover, OPTION.server) || has(discover, OPTION.requestedAddress))
  const again = stand.next() as ToSend
  t.equal(again.message.xid, discover.message.xid)
  t.equal(again.message.secs, Math.floor((stand.now - 0) / seconds(1)), 'seconds since it began')
  stand.hear(TYPE.offer)
  const request = stand.listen() as ToSend
  t.match(request, { to: 0, message: { type: TYPE.request, broadcast: true, ciaddr: 0, xid: discover.message.xid } })
  t.strictSame(
    [OPTION.server, OPTION.requestedAddress].map((code) => wordOf(request.message, code)),
    [SERVER, GIVEN],
  )
  stand.hear(TYPE.ack)
  const renewal = stand.next() as ToSend
  t.match(renewal, { to: SERVER, message: { type: TYPE.request, broadcast: false, ciaddr: GIVEN } })
  t.notOk(has(renewal, OPTION.server) || has(renewal, OPTION.requestedAddress))
  t.not(renewal.message.xid, request.message.xid, 'a late answer to the request is none to this')
  for (const sent of [discover, request, renewal]) {
    t.ok(has(sent, OPTION.clientId) && has(sent, OPTION.parameters) && has(sent, OPTION.hostName))
  }
  stand.machine.stop(stand.now)
  const release = stand.listen() as ToSend
  t.match(release, { to: SERVER, message: { type: TYPE.release, ciaddr: GIVEN } })
  t.equal(wordOf(release.message, OPTION.server), SERVER)
})

t.test('what a client had before', async (t) => {
  const stand = new Stand()
  stand.machine.start(0, GIVEN)
  const reboot = stand.next() as ToSend
  t.match(reboot, { to: 0, message: { type: TYPE.request, ciaddr: 0 } })
  t.equal(wordOf(reboot.message, OPTION.requestedAddress), GIVEN)
  t.notOk(has(reboot, OPTION.server), 'it knows of none (§4.3.2)')
  t.equal(stand.next()?.message.type, TYPE.request)
  stand.next()
  const { message } = stand.next() as ToSend
  t.equal(message.type, TYPE.discover, 'nobody has answered twice')
  t.equal(wordOf(message, OPTION.requestedAddress), GIVEN, 'it would like to have it again')
})

t.test('answers that are not for us, or not now', async (t) => {
  const stand = new Stand()
  stand.machine.start(0)
  stand.next()
  t.equal(stand.hear(TYPE.offer, { xid: 1 }), 'notForUs')
  t.equal(stand.hear(TYPE.offer, { chaddr: 6 }), 'notForUs')
  t.equal(stand.hear(TYPE.offer, { reply: false }), 'notForUs')
  t.equal(stand.hear(TYPE.ack), 'unexpected', 'it has asked for nothing yet')
  t.equal(stand.hear(TYPE.offer, { options: new Map() }), 'badLease')
  t.equal(stand.machine.state, 'selecting')
  stand.hear(TYPE.offer)
  stand.listen()
  t.equal(stand.hear(TYPE.ack, {}, OTHER), 'unexpected', 'of a server that was not chosen')
  t.equal(stand.hear(TYPE.nak, {}, OTHER), 'unexpected')
  t.equal(stand.hear(TYPE.offer), 'unexpected')
  stand.hear(TYPE.ack)
  t.equal(stand.machine.state, 'bound')
  for (const type of [TYPE.nak, TYPE.ack, TYPE.offer]) t.equal(stand.hear(type), 'unexpected')
  t.equal(stand.machine.lease?.address, GIVEN)
})

t.test('a lease counts from when it was asked for, and may be over when it comes', async (t) => {
  const stand = new Stand().offered()
  const asked = stand.now
  stand.now += seconds(2)
  stand.hear(TYPE.ack)
  t.equal(stand.machine.lease?.expiresAt, asked + seconds(1000))
  const late = new Stand().offered()
  late.now += seconds(12)
  t.equal(late.hear(TYPE.ack, {}, SERVER, 12), 'badLease')
  t.equal(late.machine.lease, undefined)
})

t.test('a server that does not answer is asked four times, then others are sought', async (t) => {
  const stand = new Stand().offered()
  const types: (number | undefined)[] = []
  for (let i = 0; i < 5; i++) types.push(stand.next()?.message.type)
  t.strictSame(types, [TYPE.request, TYPE.request, TYPE.request, undefined, TYPE.discover])
})

t.test('after a refusal, or an address that another has, a client waits for ten seconds (§3.1)', async (t) => {
  const refused = new Stand().offered()
  refused.hear(TYPE.nak)
  t.equal(refused.machine.deadline, refused.now + seconds(10))
  const declined = new Stand().bound()
  declined.machine.decline(declined.now)
  const { message, to } = declined.listen() as ToSend
  t.match([message.type, to], [TYPE.decline, 0])
  t.strictSame(
    [OPTION.server, OPTION.requestedAddress].map((code) => wordOf(message, code)),
    [SERVER, GIVEN],
  )
  t.equal(declined.machine.deadline, declined.now + seconds(10))
  for (const stand of [refused, declined]) {
    const discover = stand.next() as ToSend
    t.notOk(has(discover, OPTION.requestedAddress), 'it does not wish for it any more')
  }
  const former = new Stand()
  former.machine.start(0, GIVEN)
  former.next()
  former.hear(TYPE.nak)
  t.ok(former.machine.deadline <= former.now + ms(100), 'a former address is given up at once')
})

t.test('renewals are a minute apart at least (§4.4.5)', async (t) => {
  const stand = new Stand().bound(100)
  stand.next()
  t.equal(stand.machine.state, 'renewing')
  t.equal(stand.machine.deadline, stand.machine.lease?.rebindAt, 'half of 37.5 s would be too soon')
})

t.test('a refusal ends the lease at once', async (t) => {
  const stand = new Stand().bound()
  stand.next()
  t.equal(stand.hear(TYPE.nak), undefined)
  t.equal(stand.machine.lease, undefined)
  stand.machine.take()
  t.match(stand.machine.take(), { kind: 'lost', reason: 'the server refuses it' })
  t.equal(stand.next()?.message.type, TYPE.discover)
})
