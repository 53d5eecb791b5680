/** What a connection of the API below tells of itself. */
import type { Duration } from '../kernel/clock.ts'
import type { CongestionControl, ConnectionState } from './sockets.ts'

/** What loss recovery is doing, as Linux names it. */
export type CongestionState = 'open' | 'disorder' | 'cwr' | 'recovery' | 'loss'

/** Figures of a connection, for people and tests (a part of Linux's TCP_INFO). Times in microseconds. */
export interface ConnectionInfo {
  readonly state: ConnectionState
  readonly srtt: Duration
  readonly rttvar: Duration
  readonly rto: Duration
  readonly cwnd: number
  /** Where slow start ends; as large as no window is until something was lost. */
  readonly ssthresh: number
  /** Octets believed to be in the network. */
  readonly flightSize: number
  readonly congestionControl: CongestionControl
  readonly congestionState: CongestionState
  /** Octets sent and not acknowledged; and of these, received out of order, taken as lost, and sent again. */
  readonly outstanding: number
  readonly sacked: number
  readonly lost: number
  readonly resent: number
  /** Segments by which the network was seen to reorder, at least. */
  readonly reordering: number
  /** The least round trip of the last minutes; 0: none was measured. */
  readonly minRtt: Duration
  /** Octets that the peer has received, and how many a second of late. */
  readonly delivered: number
  readonly deliveryRate: number
  /** Octets a second at which what is sent leaves now; 0: as soon as it may. */
  readonly pacingRate: number
  /** Timeouts in a row, and the exponent they have left for `rto`. */
  readonly timeouts: number
  readonly backoff: number
  /** Probes of a closed window or an idle peer that were not answered. */
  readonly probes: number
  /** The largest segment that the peer has sent. */
  readonly receivedSegment: number
  /** The MSS we have announced. */
  readonly announcedSegment: number
  /** What both sides have agreed on. */
  readonly timestamps: boolean
  readonly selectiveAcks: boolean
  readonly windowScaling: boolean
  readonly ecn: boolean
  /** All data that went with the SYN was accepted, by the peer or by us (RFC 7413). */
  readonly synDataAccepted: boolean
  /** The user timeout in force, by our option or by the peer's (RFC 5482); 0: by retransmissions. */
  readonly userTimeout: Duration
  readonly sndWnd: number
  readonly rcvWnd: number
  /** Largest payload of a segment that is sent. */
  readonly maxSegment: number
  /** Largest packet that the path is taken to carry whole, in octets; and segments sent to find out whether it carries more. */
  readonly pathMtu: number
  readonly mtuProbes: number
  readonly retransmits: number
  readonly octetsSent: number
  readonly octetsReceived: number
  readonly segmentsSent: number
  readonly segmentsReceived: number
  /** Octets written and not yet acknowledged; octets received and not yet read. */
  readonly sendQueue: number
  readonly receiveQueue: number
  /** How long ago data last arrived; as long as none has, anything. */
  readonly sinceReceived: Duration
  /** The round trip that arriving data shows, for a window that grows by itself; 0: none yet. */
  readonly receiverRoundTrip: Duration
  /** How long something was queued or in flight; of this, how long the peer's window, or our full send queue, was in the way. */
  readonly busyTime: Duration
  readonly windowLimitedTime: Duration
  readonly bufferLimitedTime: Duration
}
