/** nmap looks at us from every side, and neither learns what it should not nor disturbs anybody. */
import t from 'tap'
import { packetsInUse, poisonReleased } from '../../src/kernel/packet.ts'
import { type Namespace, oracle } from './helpers.ts'
import { besieged, dropped } from './hostile.ts'
import { OURS } from './stand.ts'

poisonReleased(true)
t.setTimeout(600_000)
const OPEN = 80
const CLOSED = 81

/** What each scan says of a port where we listen and of one where we do not (RFC 9293 §3.10.7.1 and §3.10.7.2). */
const SCANS: readonly (readonly [scan: string, open: RegExp, closed: RegExp])[] = [
  ['-sS', /^open .*syn-ack/, /^closed .*reset/],
  ['-sA', /^unfiltered .*reset/, /^unfiltered .*reset/],
  ['-sF', /^open\|filtered .*no-response/, /^closed .*reset/],
  ['-sN', /^open\|filtered .*no-response/, /^closed .*reset/],
  ['-sX', /^open\|filtered .*no-response/, /^closed .*reset/],
  // With an ACK in it a FIN is answered by LISTEN, too.
  ['-sM', /^closed .*reset/, /^closed .*reset/],
  // The window of a reset is 0.
  ['-sW', /^closed .*reset/, /^closed .*reset/],
]

/** The probes of its detection of operating systems: T1 to T4 are for the open port, T5 to T7 for the closed one. */
const PROBES: readonly (readonly [probe: string, what: string, answer: RegExp])[] = [
  ['T1', 'SYN', /^R=Y.*%A=S\+%F=AS/],
  ['T2', 'no flags, port open', /^R=N/],
  ['T3', 'SYN FIN URG PSH, port open', /^R=N/],
  ['T4', 'ACK, port open', /^R=Y.*%W=0%S=A%A=Z%F=R%/],
  ['T5', 'SYN, port closed', /^R=Y.*%W=0%S=Z%A=S\+%F=AR%/],
  ['T6', 'ACK, port closed', /^R=Y.*%W=0%S=A%A=Z%F=R%/],
  ['T7', 'FIN PSH URG, port closed', /^R=Y.*%W=0%S=Z%A=S\+%F=AR%/],
]

const UNFORESEEN = /TCP Sequence Prediction: Difficulty=\d+ \(Good luck!\)/

t.test('nmap', { skip: oracle('root', 'tun', 'ip', 'curl', 'nmap') }, async (t) => {
  const before = packetsInUse()
  const siege = await besieged(t)
  const { node, kernel } = siege
  for (const [scan, open, closed] of SCANS) {
    const output = await nmap(kernel, scan, '--reason')
    t.match(stateOf(output, OPEN), open, `${scan}, the open port`)
    t.match(stateOf(output, CLOSED), closed, `${scan}, the closed port`)
  }
  let output = ''
  // To nmap an answer that takes longer than its patience, a tenth of a second, is none: then it is asked once more.
  const complete = (): boolean =>
    UNFORESEEN.test(output) && PROBES.every(([probe, , answer]) => answer.test(found(output, probe)))
  for (let i = 0; i < 10 && !complete(); i++) {
    // It breaks long lines where it likes.
    output = (await nmap(kernel, '-O', '-d', '--max-os-tries', '2')).replaceAll('\nOS:', '')
  }
  for (const [probe, what, answer] of PROBES) t.match(found(output, probe), answer, `${probe}: ${what}`)
  t.match(output, UNFORESEEN, 'sequence numbers cannot be foretold')
  t.ok(dropped(node, 'tcp', 'synFin') > 0, 'what was not answered was counted')
  await siege.relieve()
  t.equal(packetsInUse(), before, 'no packet is left')
})

async function nmap(kernel: Namespace, ...args: readonly string[]): Promise<string> {
  const { output } = await kernel.run('nmap', '-n', '-Pn', '-T4', '-p', `${OPEN},${CLOSED}`, ...args, OURS)
  return output
}

/** What the table of ports says behind the port: state, service and reason. */
function stateOf(output: string, port: number): string {
  return new RegExp(`^${port}/tcp +(.*)$`, 'm').exec(output)?.[1] ?? output
}

/** What nmap has found out by a probe, or all it said. */
function found(output: string, probe: string): string {
  return new RegExp(`\\b${probe}\\(([^)]*)\\)`).exec(output)?.[1] ?? output
}
