/** What tshark says of the captures we write: that nothing is wrong with them, and what stands in each field. */

import type t from 'tap'
import { run } from './helpers.ts'

/** Also checks what tshark leaves alone by default. Addresses and ports as numbers, sequence numbers as they are. */
const PREFERENCES = [
  'eth.check_fcs:TRUE',
  'ip.check_checksum:TRUE',
  'tcp.check_checksum:TRUE',
  'udp.check_checksum:TRUE',
  'tcp.relative_sequence_numbers:FALSE',
]
/** Payloads are as good as random: guessing what they are would find them malformed. */
const PAYLOADS = ['-d', 'tcp.port==1-65535,data', '-d', 'udp.port==1-65535,data']
/** The fields of one frame that were asked for: every occurrence of each, outermost first. */
export type Dissected = Readonly<Record<string, readonly string[]>>

/**
 * Dissects a capture.
 * @param options further arguments of tshark.
 * @throws Error — tshark cannot read it to its end.
 */
export async function dissect(
  path: string,
  fields: readonly string[],
  ...options: readonly string[]
): Promise<Dissected[]> {
  const asked = ['frame.number', ...fields].flatMap((field) => ['-e', field])
  const preferences = PREFERENCES.flatMap((preference) => ['-o', preference])
  const format = ['-T', 'fields', '-E', 'separator=/t', '-E', 'occurrence=a', '-E', 'aggregator=|']
  const { code, output } = await run(
    'tshark',
    ...['-n', '-Q', '-r', path, ...PAYLOADS, ...preferences, ...format, ...asked, ...options],
  )
  const lines = output.split('\n').filter((line) => /^\d+(\t|$)/.test(line))
  if (code !== 0) throw new Error(`tshark ended with ${code}: ${output.slice(-500)}`)
  return lines.map((line) => {
    const values = line.split('\t').slice(1)
    return Object.fromEntries(fields.map((name, i) => [name, split(values[i] ?? '')]))
  })
}

function split(value: string): string[] {
  return value === '' ? [] : value.split('|')
}

/** A check of tshark's: the protocol it belongs to, and the field that says 1 (good), 0 (bad), 2 (not verified). */
const CHECKS = {
  fcs: 'eth.fcs.status',
  ip: 'ip.checksum.status',
  icmp: 'icmp.checksum.status',
  icmpv6: 'icmpv6.checksum.status',
  tcp: 'tcp.checksum.status',
  udp: 'udp.checksum.status',
} as const
type Check = keyof typeof CHECKS

/** One frame, as tshark sees it. */
export interface Examined {
  /** What is wrong with it: 'malformed', 'bad tcp checksum'. */
  readonly faults: readonly string[]
  /** The checks that were made and found it good, each as often as it was made. */
  readonly good: readonly Check[]
  /** Name of its interface; '' when it has none. */
  readonly interface: string
  readonly direction: 'in' | 'out' | 'none'
  readonly comments: readonly string[]
  /** An ICMP error that came in: it quotes a packet. */
  readonly complaint: boolean
}

/**
 * There when a TCP checksum is 0xffff and should be 0x0000, which sums up to the same. Linux writes it where it finishes the
 * checksum of a single segment in software, once in 65,536; tshark calls it bad.
 */
const OTHER_ZERO = 'tcp.checksum.ffff'

/** Types of ICMP messages that quote a packet. */
const ERRORS: ReadonlySet<string | undefined> = new Set(['3', '11', '12'])

/** Has tshark look at every frame of a capture. @throws Error — it cannot read it to its end. */
export async function examine(path: string, ...options: readonly string[]): Promise<Examined[]> {
  const told = [OTHER_ZERO, 'icmp.type', 'frame.interface_name', 'frame.packet_flags_direction', 'frame.comment']
  const frames = await dissect(path, ['_ws.malformed', ...Object.values(CHECKS), ...told], ...options)
  return frames.map((frame) => {
    const faults = frame['_ws.malformed']?.length ? ['malformed'] : []
    const good: Check[] = []
    const direction = DIRECTIONS[Number(frame['frame.packet_flags_direction']?.[0] ?? 0)] ?? 'none'
    const forgiven = direction === 'in' && frame[OTHER_ZERO]?.length ? 'tcp' : undefined
    for (const [check, field] of Object.entries(CHECKS) as [Check, string][])
      for (const status of frame[field] ?? [])
        if (status === '1' || (status === '0' && check === forgiven)) good.push(check)
        else if (status === '0') faults.push(`bad ${check} checksum`)
    return {
      faults,
      good,
      interface: frame['frame.interface_name']?.[0] ?? '',
      direction,
      comments: frame['frame.comment'] ?? [],
      complaint: direction === 'in' && ERRORS.has(frame['icmp.type']?.[0]),
    }
  })
}

/** The two lowest bits of pcapng's packet flags. */
const DIRECTIONS: Readonly<Record<number, 'in' | 'out'>> = { 1: 'in', 2: 'out' }

export interface CleanCapture {
  readonly frames: number
  /** How often each check was made, and what it looks at was good. */
  readonly good: Readonly<Record<Check, number>>
  /** By name, how many frames came in and went out. */
  readonly interfaces: ReadonlyMap<string, { in: number; out: number; none: number }>
  readonly comments: readonly string[]
}

/** The octets of the first frames that are bad: a fault that comes once in a hundred runs must not have to come twice. */
async function hexOf(path: string, bad: readonly { frame: number }[]): Promise<string> {
  if (bad.length === 0) return ''
  const chosen = bad.slice(0, 3).map(({ frame }) => `frame.number==${frame}`)
  const { output } = await run('tshark', '-n', '-Q', '-r', path, '-Y', chosen.join('||'), '-x')
  return `\n${output}`
}

/** What is used of a test. */
export type Asserting = Pick<typeof t, 'equal' | 'same'>

export interface CaptureExpectations {
  /** Linux quotes in its errors what we left to its device with the checksum still open. Default false. */
  readonly kernelQuotesUnfinished?: boolean
}

/**
 * Holds that nothing is malformed and no checksum and no FCS bad, and that every frame names its interface.
 * @returns what was looked at, so that the test can hold that it was something.
 */
export async function assertCleanCapture(
  t: Asserting,
  path: string,
  { kernelQuotesUnfinished = false }: CaptureExpectations = {},
): Promise<CleanCapture> {
  const frames = await examine(path)
  const bad = frames.flatMap(({ faults, complaint, direction, comments }, i) =>
    faults
      .filter((fault) => !(kernelQuotesUnfinished && complaint && /tcp|udp/.test(fault)))
      .map((fault) => ({ frame: i + 1, fault, direction, comments })),
  )
  t.same(bad, [], `nothing is malformed, no checksum is bad${await hexOf(path, bad)}`)
  const good = { fcs: 0, ip: 0, icmp: 0, icmpv6: 0, tcp: 0, udp: 0 }
  const interfaces = new Map<string, { in: number; out: number; none: number }>()
  for (const frame of frames) {
    for (const check of frame.good) good[check]++
    const counts = interfaces.get(frame.interface) ?? { in: 0, out: 0, none: 0 }
    interfaces.set(frame.interface, counts)
    counts[frame.direction]++
  }
  t.equal(interfaces.has(''), false, 'every frame names its interface')
  return { frames: frames.length, good, interfaces, comments: frames.flatMap(({ comments }) => comments) }
}
