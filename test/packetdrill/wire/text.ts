/** Packets in the notation of scripts, for traces and failures. */
import type { IcmpBody, TcpBody } from '../language/script.ts'
import { formatIcmp } from './icmp.ts'
import { FLAG, formatFlags } from './tcp-flags.ts'
import { formatTcpOption } from './tcp-options.ts'

export function formatBody(body: TcpBody | IcmpBody): string {
  return body.kind === 'tcp' ? formatTcp(body) : formatQuoting(body)
}

function formatTcp({ ports, flags, seq, length, ack, window, urgent, options }: TcpBody): string {
  const parts = [formatFlags(flags), `${seq}:${(seq + length) >>> 0}(${length})`]
  if (ports !== undefined) parts.unshift(`${ports.source} > ${ports.destination}`)
  if ((flags & FLAG.ack) !== 0) parts.push(`ack ${ack}`)
  if (window !== undefined) parts.push(`win ${window}`)
  if (urgent !== 0) parts.push(`urg ${urgent}`)
  if (options === 'any') parts.push('<...>')
  else if (options.length > 0) parts.push(`<${options.map(formatTcpOption).join(',')}>`)
  return parts.join(' ')
}

function formatQuoting({ wire, type, code, mtu, quote }: IcmpBody): string {
  const parts = [formatIcmp(wire, type, code)]
  if (mtu > 0) parts.push(`mtu ${mtu}`)
  if (quote !== undefined) parts.push(`[${quote.seq}:${(quote.seq + quote.length) >>> 0}(${quote.length})]`)
  return parts.join(' ')
}
