/** ICMP (RFC 792, RFC 1122 §3.2.2) by the names that scripts use. */

const TYPES: Readonly<Record<string, number>> = {
  echo_reply: 0,
  unreachable: 3,
  source_quench: 4,
  redirect: 5,
  echo_request: 8,
  time_exceeded: 11,
  parameter_problem: 12,
  timestamp_request: 13,
  timestamp_reply: 14,
  information_request: 15,
  information_reply: 16,
  address_mask_request: 17,
  address_mask_reply: 18,
}

/** Codes of 'unreachable', in order. */
const UNREACHABLE: readonly string[] = [
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
]

/** Names of codes, by the type they are of. */
const CODES: Readonly<Record<number, readonly string[]>> = {
  3: UNREACHABLE,
  11: ['ttl_exceeded_in_transit', 'fragment_reassembly_time_exceeded'],
}

/** Numbers of a type and code, both also as `type_3` and `code_4`; undefined when there is none of that name. */
export function icmpNumbers(typeName: string, codeName?: string): { type: number; code: number } | undefined {
  const type = TYPES[typeName] ?? numbered('type_', typeName)
  if (type === undefined) return undefined
  const code = codeName === undefined ? 0 : (numbered('code_', codeName) ?? CODES[type]?.indexOf(codeName) ?? -1)
  return code < 0 ? undefined : { type, code }
}

/** As scripts write it: 'icmp unreachable frag_needed'. */
export function formatIcmp(type: number, code: number): string {
  const name = Object.keys(TYPES).find((key) => TYPES[key] === type) ?? `type_${type}`
  const codeName = CODES[type]?.[code] ?? (code === 0 ? '' : `code_${code}`)
  return `icmp ${name} ${codeName}`.trimEnd()
}

function numbered(prefix: string, text: string): number | undefined {
  const rest = text.startsWith(prefix) ? text.slice(prefix.length) : ''
  return /^\d{1,3}$/.test(rest) && Number(rest) <= 255 ? Number(rest) : undefined
}
