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

/** What tcpi_options has bits for. */
const AGREED: readonly (readonly [name: string, bit: number])[] = [
  ['timestamps', 1],
  ['selectiveAcks', 2],
  ['windowScaling', 4],
  ['ecn', 8],
]

/** Of congestion control, in the order of Linux's numbers. */
const CONGESTION_STATES: readonly unknown[] = ['open', 'disorder', 'cwr', 'recovery', 'loss']

/** Linux says so of no threshold yet; ours is larger than any window then (RFC 7323 §2.3). */
const NO_THRESHOLD = 0x7fff_ffff
const LARGEST_WINDOW = 0x3fff_c000

/** The figures of one connection at one moment, by name: there may be fewer than Linux has. */
class Figures {
  private readonly figures: ReadonlyMap<string, unknown>
  readonly state: ConnectionState

  constructor(info: ConnectionInfo) {
    this.figures = new Map(Object.entries(info))
    this.state = info.state
  }

  value(name: string): unknown {
    return this.figures.get(name)
  }

  number(name: string): number | undefined {
    const value = this.figures.get(name)
    return typeof value === 'number' ? value : undefined
  }

  /** Octets as whole segments, as Linux counts windows; what is in flight is rounded up. */
  segments(name: string, round: (value: number) => number): number | undefined {
    const octets = this.number(name)
    const mss = this.number('maxSegment')
    return octets === undefined || mss === undefined ? undefined : round(octets / mss)
  }
}

type Figure = (figures: Figures) => number | undefined

const plain =
  (name: string): Figure =>
  (figures) =>
    figures.number(name)
const segments =
  (name: string): Figure =>
  (figures) =>
    figures.segments(name, Math.ceil)

const FIGURES: Readonly<Record<string, Figure>> = {
  tcpi_state: ({ state }) => STATES[state],
  tcpi_ca_state: (figures) => indexOf(CONGESTION_STATES, figures.value('congestionState')),
  tcpi_options: (figures) => AGREED.reduce((bits, [name, bit]) => bits | (figures.value(name) === true ? bit : 0), 0),
  tcpi_rto: plain('rto'),
  tcpi_rtt: plain('srtt'),
  tcpi_rttvar: plain('rttvar'),
  tcpi_min_rtt: plain('minRtt'),
  tcpi_snd_mss: plain('maxSegment'),
  tcpi_rcv_mss: plain('receivedSegment'),
  tcpi_advmss: plain('announcedSegment'),
  tcpi_snd_cwnd: (figures) => figures.segments('cwnd', Math.floor),
  tcpi_snd_ssthresh: (figures) => {
    const unlimited = (figures.number('ssthresh') ?? 0) > LARGEST_WINDOW
    return unlimited ? NO_THRESHOLD : figures.segments('ssthresh', Math.floor)
  },
  tcpi_unacked: segments('outstanding'),
  tcpi_sacked: segments('sacked'),
  tcpi_lost: segments('lost'),
  tcpi_retrans: segments('resent'),
  tcpi_reordering: plain('reordering'),
  tcpi_retransmits: plain('timeouts'),
  tcpi_backoff: plain('backoff'),
  tcpi_probes: plain('probes'),
  tcpi_delivery_rate: plain('deliveryRate'),
  // Linux counts the SYN, too.
  tcpi_delivered: (figures) => {
    const delivered = figures.segments('delivered', Math.ceil)
    return delivered === undefined ? undefined : delivered + 1
  },
  tcpi_total_retrans: plain('retransmits'),
  tcpi_segs_out: plain('segmentsSent'),
  tcpi_segs_in: plain('segmentsReceived'),
  tcpi_bytes_received: plain('octetsReceived'),
}

function indexOf(values: readonly unknown[], value: unknown): number | undefined {
  const index = values.indexOf(value)
  return index < 0 ? undefined : index
}

/** A figure by its name in Linux; undefined when the connection does not tell it. */
export function tcpInfo(connection: Connection, name: string): number | undefined {
  return Object.hasOwn(FIGURES, name) ? (FIGURES[name] as Figure)(new Figures(connection.info())) : undefined
}
