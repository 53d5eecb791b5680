/**
 * An attacker who knows the four-tuple of a connection, and to make it hard even its sequence numbers and timestamps,
 * forges segments of it that RFC 5961 has us see through. The other end, the kernel, knows nothing of them.
 */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { type Attacker, attacker, type ForgedSegment, type Seen } from './attacker.ts'
import { oracle, until } from './helpers.ts'
import { besieged, dropped, memory } from './hostile.ts'
import { THEIRS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const ECHO = 7
/** Far outside of any window. */
const FAR = 2 ** 30
const SPRAY = 500
/** Challenge ACKs of a connection in a second (RFC 5961 §7). */
const CHALLENGES = 10
const HEAP_OCTETS = 16 << 20

type Forgery = Pick<ForgedSegment, 'flags' | 'seq' | 'ack' | 'payload'>
/** The sequence numbers of the victim: what it sends next, and what it expects next. */
interface Numbers {
  readonly nxt: number
  readonly rcv: number
}
interface Probe {
  readonly what: string
  readonly forge: (numbers: Numbers) => Forgery
  /** The reason it is dropped for. */
  readonly drop: string
  /** An ACK of what is right answers it. */
  readonly challenged: boolean
}

const evil = 'evil'
const PROBES: readonly Probe[] = [
  // (RFC 5961 §3.2)
  {
    what: 'RST right behind what is expected',
    forge: ({ rcv }) => ({ flags: 'R', seq: rcv + 1 }),
    drop: 'resetNotExact',
    challenged: true,
  },
  {
    what: 'RST far in the window',
    forge: ({ rcv }) => ({ flags: 'R', seq: rcv + 50_000 }),
    drop: 'resetNotExact',
    challenged: true,
  },
  {
    what: 'RST outside of the window',
    forge: ({ rcv }) => ({ flags: 'R', seq: rcv + FAR }),
    drop: 'resetOutsideWindow',
    challenged: false,
  },
  {
    what: 'RST of what has been received',
    forge: ({ rcv }) => ({ flags: 'R', seq: rcv - 1 }),
    drop: 'resetOutsideWindow',
    challenged: false,
  },
  // (§4.2)
  { what: 'SYN as expected', forge: ({ rcv }) => ({ flags: 'S', seq: rcv }), drop: 'synInWindow', challenged: true },
  {
    what: 'SYN in the window',
    forge: ({ rcv }) => ({ flags: 'S', seq: rcv + 50_000 }),
    drop: 'synInWindow',
    challenged: true,
  },
  {
    what: 'SYN outside of the window',
    forge: ({ rcv }) => ({ flags: 'S', seq: rcv + FAR }),
    drop: 'synInWindow',
    challenged: true,
  },
  {
    what: 'SYN ACK',
    forge: ({ rcv, nxt }) => ({ flags: 'SA', seq: rcv, ack: nxt }),
    drop: 'synInWindow',
    challenged: true,
  },
  // (§5.2)
  {
    what: 'data with an ACK of what was never sent',
    forge: ({ rcv, nxt }) => ({ flags: 'PA', seq: rcv, ack: nxt + 1, payload: evil }),
    drop: 'unacceptableAck',
    challenged: true,
  },
  {
    what: 'data with an ACK older than any window',
    forge: ({ rcv, nxt }) => ({ flags: 'PA', seq: rcv, ack: nxt - FAR, payload: evil }),
    drop: 'unacceptableAck',
    challenged: true,
  },
  {
    what: 'FIN with an ACK of what was never sent',
    forge: ({ rcv, nxt }) => ({ flags: 'FA', seq: rcv, ack: nxt + 1 }),
    drop: 'unacceptableAck',
    challenged: true,
  },
  // (RFC 9293 §3.10.7.4)
  {
    what: 'data outside of the window',
    forge: ({ rcv, nxt }) => ({ flags: 'PA', seq: rcv + FAR, ack: nxt, payload: evil }),
    drop: 'outsideWindow',
    challenged: true,
  },
  {
    what: 'data that has been received',
    forge: ({ rcv, nxt }) => ({ flags: 'PA', seq: rcv - evil.length, ack: nxt, payload: evil }),
    drop: 'duplicateData',
    challenged: true,
  },
  {
    what: 'data without ACK',
    forge: ({ rcv }) => ({ flags: 'P', seq: rcv, payload: evil }),
    drop: 'noAck',
    challenged: false,
  },
]

t.test('forged segments', { skip: oracle('root', 'tun', 'ip', 'curl', 'socat', 'tcpdump', 'scapy') }, async (t) => {
  const before = packetsInUse()
  const siege = await besieged(t)
  const { node, kernel } = siege
  await kernel.start(/listening/, 'socat', '-d', '-d', `TCP4-LISTEN:${ECHO}`, 'PIPE')
  // As sockets of Node's are, in all that is used here.
  const socket = node.net.connect(ECHO, THEIRS) as unknown as Socket
  await once(socket, 'connect')
  const enemy = await attacker(t, kernel)
  const port = socket.localPort ?? 0
  const victim = { sport: ECHO, dport: port }

  for (const { what, forge, drop, challenged } of PROBES) {
    const { numbers, timestamps } = await look(enemy, socket)
    const counted = dropped(node, 'tcp', drop)
    const answers = await enemy.tcp({ ...victim, ...forge(numbers), timestamps, expected: challenged ? 1 : 0 })
    // The transfers may have some, too.
    await until(() => dropped(node, 'tcp', drop) > counted, `${what} is dropped: ${drop}`)
    t.same(
      answers.map(essence),
      challenged ? [{ flags: 'A', seq: numbers.nxt, ack: numbers.rcv, length: 0 }] : [],
      challenged ? 'and challenged' : 'in silence',
    )
  }

  const { numbers, timestamps } = await look(enemy, socket)
  const counted = dropped(node, 'tcp', 'noTimestamps')
  t.same(await enemy.tcp({ ...victim, flags: 'PA', seq: numbers.rcv, ack: numbers.nxt, payload: evil }), [])
  const unstamped = () => dropped(node, 'tcp', 'noTimestamps') - counted
  await until(() => unstamped() > 0, 'right, but for the timestamps (RFC 7323 §3.2)')
  t.equal(unstamped(), 1)

  const held = memory()
  for (const flags of ['R', 'S']) {
    await wait(1000) // Those of one second count together.
    const began = performance.now()
    const spray = { flags, seq: numbers.rcv + 9, timestamps, times: SPRAY, expected: 1 }
    const answers = await enemy.tcp({ ...victim, ...spray })
    // The seconds that it lies in, which need not begin with it.
    const most = CHALLENGES * (2 + Math.floor((performance.now() - began) / 1000))
    t.ok(answers.length > 0 && answers.length <= most, `${answers.length} challenges for ${SPRAY} of ${flags}`)
  }
  t.ok(memory().heap - held.heap < HEAP_OCTETS, 'nothing is kept of them')

  await look(enemy, socket)
  const [download = 0] = siege.ports
  const { ack } = await enemy.learn(80)
  await enemy.tcp({ sport: download, dport: 80, flags: 'R', seq: ack + 9, times: SPRAY })

  const last = await look(enemy, socket)
  const reset = once(socket, 'error')
  await enemy.tcp({ ...victim, flags: 'R', seq: last.numbers.rcv })
  const [error] = await reset
  t.match(error, { code: 'ECONNRESET' }, 'RST at exactly what is expected does reset')
  await siege.relieve()
  t.equal(packetsInUse(), before, 'no packet is left')
})

/** Has the victim send and receive, which shows that it still can, and the attacker see where it stands. */
async function look(
  enemy: Attacker,
  socket: Socket,
): Promise<{ numbers: Numbers; timestamps: readonly [number, number] }> {
  const text = `still here at ${socket.bytesWritten}`
  // The last is our ACK of the echo.
  const { seq, ack, timestamps } = await enemy.learn(socket.localPort ?? 0, async () => {
    const echoed = once(socket, 'data')
    socket.write(text)
    const [echo] = await echoed
    if (String(echo) !== text) throw new Error(`echoed: ${echo}`)
    await wait(300)
  })
  if (timestamps === null) throw new Error('the connection has no timestamps')
  const [tsval, tsecr] = timestamps
  return { numbers: { nxt: seq, rcv: ack }, timestamps: [tsecr, tsval] }
}

const essence = ({ flags, seq, ack, length }: Seen) => ({ flags, seq, ack, length })
