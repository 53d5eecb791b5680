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
  tcp: 'tcp.checksum.status',
  udp: 'udp.checksum.status',
} as const
type Check = keyof typeof CHECKS

export interface CleanCapture {
  readonly frames: number
  /** How often each check was made, and what it looks at was good. */
  readonly good: Readonly<Record<Check, number>>
  /** By name, how many frames came in and went out. */
  readonly interfaces: ReadonlyMap<string, { in: number; out: number; none: number }>
  readonly comments: readonly string[]
}

/** What is used of a test. */
export type Asserting = Pick<typeof t, 'equal' | 'same'>

export interface CaptureExpectations {
  /** ICMP errors may quote packets whose checksums had been left to a device, as Linux does it, too. Default false. */
  readonly quotesUnfinished?: boolean
}

/** Types of ICMP messages that quote a packet. */
const ERRORS: ReadonlySet<string | undefined> = new Set(['3', '11', '12'])

/**
 * Holds that nothing is malformed and no checksum and no FCS bad, and that every frame names its interface.
 * @returns what was looked at, so that the test can hold that it was something.
 */
export async function assertCleanCapture(
  t: Asserting,
  path: string,
  { quotesUnfinished = false }: CaptureExpectations = {},
): Promise<CleanCapture> {
  const checks = Object.entries(CHECKS) as [Check, string][]
  const told = ['icmp.type', 'frame.interface_name', 'frame.packet_flags_direction', 'frame.comment']
  const frames = await dissect(path, ['_ws.malformed', ...checks.map(([, field]) => field), ...told])
  const bad: string[] = []
  const good = { fcs: 0, ip: 0, icmp: 0, tcp: 0, udp: 0 }
  const interfaces = new Map<string, { in: number; out: number; none: number }>()
  const comments: string[] = []
  for (const [i, frame] of frames.entries()) {
    if (frame['_ws.malformed']?.length) bad.push(`frame ${i + 1}: malformed`)
    const quotes = quotesUnfinished && ERRORS.has(frame['icmp.type']?.[0])
    for (const [check, field] of checks)
      for (const status of quotes && (check === 'tcp' || check === 'udp') ? [] : (frame[field] ?? [])) {
        if (status === '0') bad.push(`frame ${i + 1}: bad ${check} checksum`)
        else if (status === '1') good[check]++
      }
    const name = frame['frame.interface_name']?.[0] ?? ''
    const counts = interfaces.get(name) ?? { in: 0, out: 0, none: 0 }
    interfaces.set(name, counts)
    counts[DIRECTIONS[Number(frame['frame.packet_flags_direction']?.[0] ?? 0)] ?? 'none']++
    comments.push(...(frame['frame.comment'] ?? []))
  }
  t.same(bad, [], 'nothing is malformed, no checksum is bad')
  t.equal(interfaces.has(''), false, 'every frame names its interface')
  return { frames: frames.length, good, interfaces, comments }
}

/** The two lowest bits of pcapng's packet flags. */
const DIRECTIONS: Readonly<Record<number, 'in' | 'out'>> = { 1: 'in', 2: 'out' }
