/** Why the UDP layer drops packets, with the standard behind each decision. */
export type DropReason =
  | 'truncated'
  | 'badLength'
  | 'badChecksum'
  | 'noChecksum'
  | 'badSource'
  | 'noPort'
  | 'noListener'
  | 'receiveBufferFull'
  | 'interceptPending'
  | 'interceptQueueFull'
  | 'intercepted'
  | 'closed'

export const REASONS: Readonly<Record<DropReason, string>> = {
  truncated: 'RFC 768',
  /** The length field is below the header's, or beyond what arrived. */
  badLength: 'RFC 768',
  badChecksum: 'RFC 1122 §4.1.3.4',
  /** None over IPv6, where nothing else covers the addresses. */
  noChecksum: 'RFC 8200 §8.1',
  /** Broadcast, multicast or unspecified as source. */
  badSource: 'RFC 1122 §4.1.3.6',
  /** To one station, and no socket there: answered with port unreachable. */
  noPort: 'RFC 1122 §4.1.3.1',
  /** To many stations, and no socket here. */
  noListener: 'RFC 1122 §3.2.2',
  /** The socket is paused, and its queue full. */
  receiveBufferFull: '',
  interceptPending: '',
  interceptQueueFull: '',
  /** Whoever intercepts said so, or said nothing for too long. */
  intercepted: '',
  /** The socket or node closed while it waited. */
  closed: '',
}
