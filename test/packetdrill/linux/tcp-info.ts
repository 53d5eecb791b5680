/** TCP_INFO: the figures of a connection under Linux's names and in its units. */
import type { Connection, ConnectionInfo, ConnectionState } from '../../../src/index.ts'

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

/** Linux counts windows in segments, and says so of no threshold yet. */
const NO_THRESHOLD = 0x7fff_ffff

const FIGURES: Readonly<Record<string, (info: ConnectionInfo) => number>> = {
  tcpi_state: ({ state }) => STATES[state],
  tcpi_rto: ({ rto }) => rto,
  tcpi_rtt: ({ srtt }) => srtt,
  tcpi_rttvar: ({ rttvar }) => rttvar,
  tcpi_snd_mss: ({ maxSegment }) => maxSegment,
  tcpi_snd_cwnd: ({ cwnd, maxSegment }) => Math.floor(cwnd / maxSegment),
  tcpi_snd_ssthresh: ({ ssthresh, maxSegment }) =>
    ssthresh >= NO_THRESHOLD ? NO_THRESHOLD : Math.floor(ssthresh / maxSegment),
  tcpi_unacked: ({ flightSize, maxSegment }) => Math.ceil(flightSize / maxSegment),
  tcpi_total_retrans: ({ retransmits }) => retransmits,
  tcpi_segs_out: ({ segmentsSent }) => segmentsSent,
  tcpi_segs_in: ({ segmentsReceived }) => segmentsReceived,
}

/** A figure by its name in Linux; undefined when the connection does not tell it. */
export function tcpInfo(connection: Connection, name: string): number | undefined {
  return FIGURES[name]?.(connection.info())
}
