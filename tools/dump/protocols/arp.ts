/** ARP for IPv4 (RFC 826), over Ethernet and over AX.25 (IANA: hardware type 3), whose protocol types are PIDs. */
import { formatIpv4, formatMac } from '../../../src/kernel/address.ts'
import { type Decoded, Fields, hex, type Scope, truncated } from '../model.ts'
import { CALL_OCTETS, callAt } from './hdlc.ts'

const ADDRESSES = 8
const IPV4_OCTETS = 4

interface Hardware {
  readonly octets: number
  /** What the protocol type is for IPv4. */
  readonly ipv4: number
  readonly text: (scope: Scope, at: number) => string
}

const ETHERNET: Hardware = { octets: 6, ipv4: 0x0800, text: macAt }
const HARDWARE: ReadonlyMap<number, Hardware> = new Map([
  [1, ETHERNET],
  [3, { octets: CALL_OCTETS, ipv4: 0xcc, text: callAt }],
])

export function arp(scope: Scope): Decoded {
  const found = scope.end - scope.start < 2 ? undefined : HARDWARE.get(scope.view.getUint16(scope.start))
  const { octets, ipv4, text } = found ?? ETHERNET
  const length = ADDRESSES + 2 * (octets + IPV4_OCTETS)
  if (scope.end - scope.start < length) return truncated('ARP', scope, length)
  const fields = new Fields(scope)
  fields.u16('hardware type', 0)
  const protocol = fields.u16('protocol type', 2, (value) => hex(value, 4))
  const operation = fields.u16('operation', 6, (value) => `${value} ${['', 'request', 'reply'][value] ?? ''}`.trim())
  const hardwareAddress = (name: string, at: number): string => {
    const address = text(scope, at)
    fields.add(name, address, at, octets)
    return address
  }
  const senderHardware = hardwareAddress('sender hardware address', ADDRESSES)
  const sender = formatIpv4(fields.u32('sender protocol address', ADDRESSES + octets, formatIpv4))
  hardwareAddress('target hardware address', ADDRESSES + octets + IPV4_OCTETS)
  const target = formatIpv4(fields.u32('target protocol address', length - IPV4_OCTETS, formatIpv4))
  const said =
    operation === 1
      ? sender === target
        ? `announcement of ${sender}`
        : `who has ${target}? tell ${sender}`
      : operation === 2
        ? `${sender} is at ${senderHardware}`
        : `operation ${operation}`
  return {
    layer: {
      protocol: 'ARP',
      offset: scope.start,
      octets: length,
      fields: fields.list,
      summary: `ARP ${said}`,
      faults: found !== undefined && protocol === ipv4 ? [] : ['not IPv4 over Ethernet or AX.25'],
    },
  }
}

function macAt({ view, start }: Scope, at: number): string {
  return formatMac(view.getUint16(start + at) * 0x1_0000_0000 + view.getUint32(start + at + 2))
}
