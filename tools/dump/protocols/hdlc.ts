/** The HDLC family within Ethernet and in captures of its own: LAPB, IEEE 802.2 LLC with SNAP, AX.25, and MAC control's PAUSE. */
import { type Decoded, type Decoder, data, Fields, hex, type Scope, truncated } from '../model.ts'
import { checkFcs, networkDecoder } from './ppp.ts'
import { xid } from './xid.ts'

const SUPERVISORY = ['RR', 'RNR', 'REJ', 'SREJ']
const UNNUMBERED: ReadonlyMap<number, string> = new Map([
  [0x2f, 'SABM'],
  [0x6f, 'SABME'],
  [0x43, 'DISC'],
  [0x63, 'UA'],
  [0x0f, 'DM'],
  [0x87, 'FRMR'],
  [0xaf, 'XID'],
  [0xe3, 'TEST'],
  [0x03, 'UI'],
])
const PF = 0x10
const SNAP = 0xaa
/** Octets of an address of AX.25. */
export const CALL_OCTETS = 7

interface Control {
  readonly octets: number
  /** 'I N(S)=1 N(R)=2 P', 'UA F'. */
  readonly text: string
  /** I and UI: an information field of a user follows. */
  readonly carries: boolean
}

const isXid = ({ text }: Control): boolean => text.startsWith('XID')

/** The control field at an offset; undefined when it is not all there. */
function controlAt(
  { octets, start, end }: Scope,
  at: number,
  extended: boolean,
  command: boolean,
): Control | undefined {
  const first = start + at < end ? octets[start + at] : undefined
  if (first === undefined) return undefined
  const bit = command ? ' P' : ' F'
  if ((first & 3) === 3) {
    const name = UNNUMBERED.get(first & ~PF) ?? `control ${hex(first, 2)}`
    return { octets: 1, text: `${name}${(first & PF) !== 0 ? bit : ''}`, carries: name === 'UI' }
  }
  const second = extended ? octets[start + at + 1] : first >> 4
  if (second === undefined || (extended && start + at + 1 >= end)) return undefined
  const poll = (second & 1) !== 0 ? bit : ''
  const nr = second >> 1
  const length = extended ? 2 : 1
  if ((first & 1) === 0) {
    const ns = (first >> 1) & (extended ? 127 : 7)
    return { octets: length, text: `I N(S)=${ns} N(R)=${nr}${poll}`, carries: true }
  }
  return { octets: length, text: `${SUPERVISORY[(first >> 2) & 3]} N(R)=${nr}${poll}`, carries: false }
}

/**
 * LAPB (X.25 §2.3). Which of the two addresses means a command depends on who sent it, which a capture need not say, so P and F
 * are both P/F. I frames may begin with a protocol number of PPP's.
 * @param extended the control field is in modulo 128.
 */
export function lapb(extended: boolean): (fcsOctets: number) => Decoder {
  return (fcsOctets) => (whole) => {
    const scope = { ...whole, end: whole.end - fcsOctets }
    const fields = new Fields(whole)
    if (scope.end - scope.start < 2) return truncated('LAPB', whole, 2 + fcsOctets)
    const address = fields.u8('address', 0, (value) => ({ 1: 'B', 3: 'A' })[value] ?? hex(value, 2))
    const control = controlAt(scope, 1, extended, true)
    if (control === undefined) return truncated('LAPB', whole, 3 + fcsOctets)
    const text = control.text.replace(/ P$/, ' P/F')
    fields.add('control', text, 1, control.octets)
    const header = 1 + control.octets
    const network = control.carries && scope.end - scope.start >= header + 2 ? networkDecoder(scope, header) : undefined
    if (network !== undefined) fields.u16('protocol', header, (value) => hex(value, 4))
    const faults = fcsOctets > 0 && whole.cut !== true ? checkFcs(whole, scope.end, fcsOctets, fields) : []
    const summary = `LAPB ${({ 1: 'B', 3: 'A' })[address] ?? hex(address, 2)} ${text}`
    const { layer, next } = layerOf('LAPB', scope, header + (network ? 2 : 0), fields, summary, network ?? data)
    return { layer: { ...layer, faults }, ...(next && { next }) }
  }
}

/** IEEE 802.2 §3; of SNAP's SAP, the EtherType behind OUI 0 goes on with `decoderOf`. */
export function llc(decoderOf: (etherType: number) => Decoder): Decoder {
  return (scope) => {
    if (scope.end - scope.start < 3) return truncated('LLC', scope, 3)
    const fields = new Fields(scope)
    const dsap = fields.u8('DSAP', 0, (value) => hex(value, 2))
    const ssap = fields.u8('SSAP', 1, (value) => hex(value & ~1, 2)) & ~1
    const command = ((scope.octets[scope.start + 1] as number) & 1) === 0
    const control = controlAt(scope, 2, true, command)
    if (control === undefined) return truncated('LLC', scope, 4)
    fields.add('control', control.text, 2, control.octets)
    const header = 2 + control.octets
    const inner = scope.start + header
    const snap = control.carries && dsap === SNAP && ssap === SNAP && scope.end - inner >= 5
    const summary = `LLC ${hex(ssap, 2)} > ${hex(dsap, 2)} ${command ? 'command' : 'response'} ${control.text}`
    if (!snap) return layerOf('LLC', scope, header, fields, summary, isXid(control) ? xid : data)
    fields.add('OUI', hex((scope.view.getUint16(inner) << 8) | scope.view.getUint8(inner + 2), 6), header, 3)
    const type = fields.u16('type', header + 3, (value) => hex(value, 4))
    const foreign = scope.view.getUint16(inner) !== 0 || scope.view.getUint8(inner + 2) !== 0
    return layerOf('LLC', scope, header + 5, fields, summary, foreign ? data : decoderOf(type))
  }
}

/**
 * AX.25 v2.2 §3; its control field in modulo 128 once SABME was seen to set the link up.
 * @param decoderOf what a PID of IP or ARP goes on with, by EtherType.
 */
export function ax25(decoderOf: (etherType: number) => Decoder): Decoder {
  return (scope) => {
    const length = scope.end - scope.start
    if (length < 2 * CALL_OCTETS + 1) return truncated('AX.25', scope, 2 * CALL_OCTETS + 1)
    const fields = new Fields(scope)
    const calls: string[] = []
    for (let at = 0; at + CALL_OCTETS < length && calls.length < 10; at += CALL_OCTETS) {
      const call = callAt(scope, at)
      fields.add(['destination', 'source'][calls.length] ?? 'repeater', call, at, CALL_OCTETS)
      calls.push(call)
      if (((scope.octets[scope.start + at + 6] as number) & 1) !== 0) break
    }
    const header = calls.length * CALL_OCTETS
    const command = ((scope.octets[scope.start + 6] as number) & 0x80) !== 0
    const [destination = '', source = '', ...repeaters] = calls
    const control = controlAt(scope, header, scope.flows?.isExtended(source, destination) ?? false, command)
    if (control === undefined) return truncated('AX.25', scope, header + 1)
    if (command && /^SABME?\b/.test(control.text)) {
      scope.flows?.setUp(source, destination, control.text.startsWith('SABME'))
    }
    fields.add('control', control.text, header, control.octets)
    const inner = header + control.octets
    const via = repeaters.length > 0 ? ` via ${repeaters.join()}` : ''
    const summary = `AX.25 ${source} > ${destination}${via} ${command ? 'command' : 'response'} ${control.text}`
    if (!control.carries || length < inner + 1)
      return layerOf('AX.25', scope, inner, fields, summary, isXid(control) ? xid : data)
    const pid = fields.u8('PID', inner, (value) => hex(value, 2))
    const next = pid === 0xcc ? decoderOf(0x0800) : pid === 0xcd ? decoderOf(0x0806) : pid === 8 ? segment : data
    return layerOf('AX.25', scope, inner + 1, fields, summary, next)
  }
}

/** A piece of a longer information field of AX.25 (v2.2 §6.6); what begins the first one is the PID. */
function segment(scope: Scope): Decoded {
  const fields = new Fields(scope)
  const header = fields.u8('segment', 0, (value) => `${value >= 0x80 ? 'first, ' : ''}${value & 0x7f} to come`)
  const text = `segment, ${header >= 0x80 ? 'the first, ' : ''}${header & 0x7f} to come`
  return layerOf('segment', scope, 1, fields, text, data)
}

const KISS_COMMANDS = ['data', 'TXDELAY', 'persistence', 'slot time', 'TXtail', 'full duplex', 'set hardware']

/**
 * KISS without its flags and escapes: the command octet, its port in the higher half (Chepponis and Karn 1987).
 * @param frame what a frame of data goes on with.
 */
export function kiss(frame: Decoder): Decoder {
  return (scope) => {
    if (scope.end - scope.start < 1) return truncated('KISS', scope, 1)
    const fields = new Fields(scope)
    const named = (octet: number): string =>
      octet === 0xff ? 'return' : `port ${octet >> 4} ${KISS_COMMANDS[octet & 15] ?? `command ${octet & 15}`}`
    const command = fields.u8('command', 0, named)
    return layerOf('KISS', scope, 1, fields, `KISS ${named(command)}`, (command & 15) === 0 ? frame : data)
  }
}

/** AX.25 in Ethernet, as BPQ has it: its length + 5 in front. */
export function bpq(decoderOf: (etherType: number) => Decoder): Decoder {
  return (scope) => {
    if (scope.end - scope.start < 2) return truncated('BPQ', scope, 2)
    const fields = new Fields(scope)
    const length = scope.view.getUint16(scope.start, true) - 5
    fields.add('length', length, 0, 2)
    const end = Math.max(scope.start + 2, Math.min(scope.end, scope.start + 2 + length))
    return layerOf('BPQ', { ...scope, end }, 2, fields, `BPQ length ${length}`, ax25(decoderOf))
  }
}

/** MAC control (IEEE 802.3 §31): PAUSE, or another operation. */
export function macControl(scope: Scope): Decoded {
  if (scope.end - scope.start < 4) return truncated('MAC control', scope, 4)
  const fields = new Fields(scope)
  const opcode = fields.u16('opcode', 0, (value) => `${hex(value, 4)}${value === 1 ? ' PAUSE' : ''}`)
  if (opcode !== 1) return layerOf('MAC control', scope, 2, fields, `MAC control opcode ${hex(opcode, 4)}`, data)
  const quanta = fields.u16('quanta', 2)
  // The rest is padding.
  return layerOf('MAC control', { ...scope, end: scope.start + 4 }, 4, fields, `PAUSE ${quanta} quanta`, data)
}

/** The call sign at an offset, as text. */
export function callAt({ octets, start }: Scope, at: number): string {
  let call = ''
  for (let i = 0; i < 6; i++) {
    const code = (octets[start + at + i] as number) >> 1
    call += code > 0x20 && code < 0x7f ? String.fromCharCode(code) : code === 0x20 ? '' : '?'
  }
  const ssid = ((octets[start + at + 6] as number) >> 1) & 15
  return ssid === 0 ? call : `${call}-${ssid}`
}

function layerOf(
  protocol: string,
  scope: Scope,
  octets: number,
  { list }: Fields,
  summary: string,
  next: Decoder,
): Decoded {
  const start = scope.start + octets
  const layer = { protocol, offset: scope.start, octets, fields: list, summary, faults: [] }
  return start < scope.end ? { layer, next: { protocol: next, scope: { ...scope, start } } } : { layer }
}
