/** ICMP (RFC 792, RFC 1122 §3.2.2) and ICMPv6 (RFC 4443) by the names that scripts use. */
import type { Wire } from '../language/ip-version.ts'

/** A type's number, and the names of its codes, from 0 on. */
type Type = readonly [type: number, codes?: readonly string[]]

const TYPES: Readonly<Record<Wire, Readonly<Record<string, Type>>>> = {
  4: {
    echo_reply: [0],
    unreachable: [
      3,
      [
        'net_unreachable',
        'host_unreachable',
        'protocol_unreachable',
        'port_unreachable',
        'frag_needed',
        'source_route_failed',
        'net_unknown',
        'host_unknown',
        'source_host_isolated',
        'net_prohibited',
        'host_prohibited',
        'net_unreachable_for_tos',
        'host_unreachable_for_tos',
        'packet_filtered',
        'precedence_violation',
        'precedence_cutoff',
      ],
    ],
    source_quench: [4],
    redirect: [5],
    echo_request: [8],
    time_exceeded: [11, ['ttl_exceeded_in_transit', 'frag_reass_exceeded']],
    parameter_problem: [12],
    timestamp_request: [13],
    timestamp_reply: [14],
    information_request: [15],
    information_reply: [16],
    address_mask_request: [17],
    address_mask_reply: [18],
  },
  6: {
    unreachable: [
      1,
      [
        'no_route',
        'admin_prohibited',
        'not_neighbour',
        'address_unreachable',
        'port_unreachable',
        'failed_policy',
        'reject_route',
      ],
    ],
    packet_too_big: [2],
    time_exceeded: [3, ['exceeded_hop_limit', 'exceeded_frag_time']],
    parameter_problem: [4, ['header_field', 'unknown_next_header', 'unknown_option']],
    echo_request: [128],
    echo_reply: [129],
  },
}

/** What scripts call the first code of 'unreachable' over either. */
const EITHER = 'net_unreachable'

/** Numbers of a type and code, both also as `type_3` and `code_4`; undefined when there is none of that name. */
export function icmpNumbers(
  wire: Wire,
  typeName: string,
  codeName?: string,
): { type: number; code: number } | undefined {
  const [type = numbered('type_', typeName), codes = []] = TYPES[wire][typeName] ?? []
  if (type === undefined) return undefined
  if (codeName === undefined || (codeName === EITHER && typeName === 'unreachable')) return { type, code: 0 }
  const code = numbered('code_', codeName) ?? codes.indexOf(codeName)
  return code < 0 ? undefined : { type, code }
}

/** As scripts write it: 'icmp unreachable frag_needed'. */
export function formatIcmp(wire: Wire, type: number, code: number): string {
  const name = Object.keys(TYPES[wire]).find((key) => TYPES[wire][key]?.[0] === type) ?? `type_${type}`
  const codeName = TYPES[wire][name]?.[1]?.[code] ?? (code === 0 ? '' : `code_${code}`)
  return `icmp ${name} ${codeName}`.trimEnd()
}

function numbered(prefix: string, text: string): number | undefined {
  const rest = text.startsWith(prefix) ? text.slice(prefix.length) : ''
  return /^\d{1,3}$/.test(rest) && Number(rest) <= 255 ? Number(rest) : undefined
}
