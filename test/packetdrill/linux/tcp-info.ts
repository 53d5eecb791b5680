/** TCP_INFO: the figures of a connection under Linux's names and in its units. */
import type { CongestionState, ConnectionInfo, ConnectionState } from '../../../src/index.ts'
import type { LinuxSocket } from './socket.ts'

/** TCP states and those of congestion control, by their numbers in Linux. */
export const TCP_INFO_CONSTANTS: ReadonlyMap<string, number> = new Map([
  ['TCP_ESTABLISHED', 1],
  ['TCP_SYN_SENT', 2],
  ['TCP_SYN_RECV', 3],
  ['TCP_FIN_WAIT1', 4],
  ['TCP_FIN_WAIT2', 5],
  ['TCP_TIME_WAIT', 6],
  ['TCP_CLOSE', 7],
  ['TCP_CLOSE_WAIT', 8],
  ['TCP_LAST_ACK', 9],
  ['TCP_LISTEN', 10],
  ['TCP_CLOSING', 11],
  ['TCP_CA_Open', 0],
  ['TCP_CA_Disorder', 1],
  ['TCP_CA_CWR', 2],
  ['TCP_CA_Recovery', 3],
  ['TCP_CA_Loss', 4],
  ['TCPI_OPT_TIMESTAMPS', 1],
  ['TCPI_OPT_SACK', 2],
  ['TCPI_OPT_WSCALE', 4],
  ['TCPI_OPT_ECN', 8],
  ['TCPI_OPT_ECN_SEEN', 16],
  ['TCPI_OPT_SYN_DATA', 32],
])

const STATES: Readonly<Record<ConnectionState, number>> = {
  ESTABLISHED: 1,
  'SYN-SENT': 2,
  'SYN-RECEIVED': 3,
  'FIN-WAIT-1': 4,
  'FIN-WAIT-2': 5,
  'TIME-WAIT': 6,
  CLOSED: 7,
  'CLOSE-WAIT': 8,
  'LAST-ACK': 9,
  LISTEN: 10,
  CLOSING: 11,
}

const CONGESTION_STATES: Readonly<Record<CongestionState, number>> = {
  open: 0,
  disorder: 1,
  cwr: 2,
  recovery: 3,
  loss: 4,
}

/** Linux says so of no threshold yet; ours is larger than any window then (RFC 7323 §2.3). */
const NO_THRESHOLD = 0x7fff_ffff
const LARGEST_WINDOW = 0x3fff_c000

type Figure = (info: ConnectionInfo) => number

/** Linux counts in segments what we count in octets: windows in whole ones, what was sent in any. */
const whole =
  (name: 'cwnd' | 'ssthresh'): Figure =>
  (info) =>
    Math.floor(info[name] / info.maxSegment)
const begun =
  (name: 'outstanding' | 'sacked' | 'lost' | 'resent' | 'delivered'): Figure =>
  (info) =>
    Math.ceil(info[name] / info.maxSegment)

const FIGURES: Readonly<Record<string, Figure>> = {
  tcpi_state: ({ state }) => STATES[state],
  tcpi_ca_state: ({ congestionState }) => CONGESTION_STATES[congestionState],
  tcpi_options: ({ timestamps, selectiveAcks, windowScaling, ecn, synDataAccepted }) =>
    Number(timestamps) |
    (Number(selectiveAcks) << 1) |
    (Number(windowScaling) << 2) |
    (Number(ecn) << 3) |
    (Number(synDataAccepted) << 5),
  tcpi_rto: ({ rto }) => rto,
  tcpi_rtt: ({ srtt }) => srtt,
  tcpi_rttvar: ({ rttvar }) => rttvar,
  tcpi_min_rtt: ({ minRtt }) => minRtt,
  tcpi_snd_mss: ({ maxSegment }) => maxSegment,
  tcpi_rcv_mss: ({ receivedSegment }) => receivedSegment,
  tcpi_advmss: ({ announcedSegment }) => announcedSegment,
  tcpi_snd_cwnd: whole('cwnd'),
  tcpi_snd_ssthresh: (info) => (info.ssthresh > LARGEST_WINDOW ? NO_THRESHOLD : whole('ssthresh')(info)),
  tcpi_unacked: begun('outstanding'),
  tcpi_sacked: begun('sacked'),
  tcpi_lost: begun('lost'),
  tcpi_retrans: begun('resent'),
  // Linux counts the SYN, too.
  tcpi_delivered: (info) => begun('delivered')(info) + 1,
  tcpi_reordering: ({ reordering }) => reordering,
  tcpi_retransmits: ({ timeouts }) => timeouts,
  tcpi_backoff: ({ backoff }) => backoff,
  tcpi_probes: ({ probes }) => probes,
  tcpi_pacing_rate: ({ pacingRate }) => pacingRate,
  tcpi_delivery_rate: ({ deliveryRate }) => deliveryRate,
  tcpi_total_retrans: ({ retransmits }) => retransmits,
  tcpi_segs_out: ({ segmentsSent }) => segmentsSent,
  tcpi_segs_in: ({ segmentsReceived }) => segmentsReceived,
  tcpi_bytes_received: ({ octetsReceived }) => octetsReceived,
  tcpi_last_data_recv: ({ sinceReceived }) => Math.floor(sinceReceived / 1000),
  tcpi_rcv_rtt: ({ receiverRoundTrip }) => receiverRoundTrip,
  tcpi_busy_time: ({ busyTime }) => busyTime,
  tcpi_rwnd_limited: ({ windowLimitedTime }) => windowLimitedTime,
  tcpi_sndbuf_limited: ({ bufferLimitedTime }) => bufferLimitedTime,
  tcpi_notsent_bytes: ({ sendQueue, outstanding }) => Math.max(sendQueue - outstanding, 0),
}

/** A figure by its name in Linux; undefined when the socket does not tell it. Without a connection it has a state alone. */
export function tcpInfo({ connection, listener }: LinuxSocket, name: string): number | undefined {
  if (connection !== undefined) return Object.hasOwn(FIGURES, name) ? FIGURES[name]?.(connection.info()) : undefined
  return name === 'tcpi_state' ? STATES[listener === undefined ? 'CLOSED' : 'LISTEN'] : undefined
}
