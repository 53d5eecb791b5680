/** What a connection looks like from outside: its figures, and its failures as errors. */
import type { ConnectionInfo } from '../../../src/api/sockets.ts'
import type { Duration, Instant } from '../../../src/kernel/clock.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import { UNLIMITED } from './congestion.ts'
import { pacingRate } from './pacing.ts'
import { currentMtu } from './path-mtu.ts'
import { DUP_THRESHOLD } from './rack.ts'
import type { Failure, Tcb } from './tcb.ts'

/** The figures of a connection, now. */
export function infoOf(tcb: Tcb, now: Instant): ConnectionInfo {
  const { sender } = tcb
  return {
    state: tcb.state,
    srtt: Math.round(tcb.rtt.srtt),
    rttvar: Math.round(tcb.rtt.rttvar),
    rto: tcb.rtt.backedOff(tcb.backoff),
    cwnd: sender === null ? tcb.initialWindow : sender.cwnd,
    ssthresh: sender === null ? UNLIMITED : sender.ssthresh,
    flightSize: tcb.flightSize,
    congestionControl: tcb.options.congestionControl,
    congestionState: sender === null ? 'open' : sender.state,
    outstanding: tcb.outstanding,
    sacked: sender === null ? 0 : sender.board.sacked,
    lost: sender === null ? 0 : sender.board.lost,
    resent: sender === null ? 0 : sender.board.resent,
    reordering: sender === null ? DUP_THRESHOLD : sender.rack.reordering,
    minRtt: leastRoundTrip(tcb),
    delivered: sender === null ? 0 : sender.rate.delivered,
    deliveryRate: sender === null ? 0 : sender.rate.perSecond,
    pacingRate: sender === null ? 0 : finite(Math.round(pacingRate(tcb, sender) * 1_000_000)),
    timeouts: tcb.retransmits,
    backoff: tcb.backoff,
    probes: tcb.probes,
    receivedSegment: tcb.rcvMss,
    announcedSegment: tcb.announcedMss,
    timestamps: tcb.timestamps,
    selectiveAcks: tcb.sack,
    windowScaling: tcb.rcv.shift >= 0,
    ecn: tcb.ecn,
    synDataAccepted: tcb.fastOpen?.accepted === true,
    userTimeout: tcb.userTimeout,
    sndWnd: tcb.snd.wnd,
    rcvWnd: tcb.rcv.wnd,
    maxSegment: tcb.mss,
    pathMtu: currentMtu(tcb),
    mtuProbes: tcb.mtuProbes,
    retransmits: tcb.retransmitted,
    octetsSent: tcb.octetsSent,
    octetsReceived: tcb.octetsReceived,
    segmentsSent: tcb.segmentsSent,
    segmentsReceived: tcb.segmentsReceived,
    sendQueue: tcb.queuedOctets,
    receiveQueue: tcb.readableOctets,
    sinceReceived: now - (tcb.lastDataAt < 0 ? tcb.lastReceivedAt : tcb.lastDataAt),
    receiverRoundTrip: tcb.receiveSpace === null ? 0 : Math.round(tcb.receiveSpace.roundTrip),
    busyTime: sender === null ? 0 : sender.limits.busy(now),
    windowLimitedTime: sender === null ? 0 : sender.limits.window(now),
    bufferLimitedTime: sender === null ? 0 : sender.limits.buffer(now),
  }
}

/** 0 for what has no bound, or is not known. */
function finite(value: number): number {
  return Number.isFinite(value) ? value : 0
}

function leastRoundTrip({ sender, rtt }: Tcb): Duration {
  const least = sender === null ? rtt.srtt : sender.minRtt.value
  return Math.round(finite(least))
}

/** A failure as the application hears it. */
export function failureError(
  tcb: Tcb,
  failure: Failure,
  syscall: string = tcb.established || tcb.early ? 'read' : 'connect',
): NetError {
  return new NetError(failure.code, failure.message, {
    syscall,
    address: tcb.remote.address.toString(),
    port: tcb.remote.port,
    layer: 'tcp',
    reason: failure.reason,
    rfc: failure.rfc,
  })
}

/** Why nothing can be written: too early, or too late (RFC 9293 §3.10.2). */
export function notWritable(tcb: Tcb, syscall: string): NetError {
  if (tcb.failure !== null && tcb.readableOctets > 0) return failureError(tcb, tcb.failure, syscall)
  const early = tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED'
  return new NetError(early ? 'ENOTCONN' : 'EPIPE', early ? 'not connected yet' : 'this direction is closed', {
    syscall,
    address: tcb.remote.address.toString(),
    port: tcb.remote.port,
    layer: 'tcp',
    reason: early ? 'notConnected' : 'closed',
    rfc: 'RFC 9293 §3.10.2',
  })
}
