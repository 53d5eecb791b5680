/** What a connection looks like from outside: its figures, and its failures as errors. */
import type { ConnectionInfo } from '../../../src/api/sockets.ts'
import { NetError } from '../../../src/kernel/errors.ts'
import type { Failure, Tcb } from './tcb.ts'

/** The figures of a connection, now. */
export function infoOf(tcb: Tcb): ConnectionInfo {
  return {
    state: tcb.state,
    srtt: Math.round(tcb.rtt.srtt),
    rttvar: Math.round(tcb.rtt.rttvar),
    rto: tcb.rtt.backedOff(tcb.backoff),
    cwnd: tcb.congestion.cwnd,
    ssthresh: tcb.congestion.ssthresh,
    flightSize: tcb.flightSize,
    sndWnd: tcb.snd.wnd,
    rcvWnd: tcb.rcv.wnd,
    maxSegment: tcb.mss,
    retransmits: tcb.retransmitted,
    octetsSent: tcb.octetsSent,
    octetsReceived: tcb.octetsReceived,
    segmentsSent: tcb.segmentsSent,
    segmentsReceived: tcb.segmentsReceived,
    sendQueue: tcb.queuedOctets,
    receiveQueue: tcb.readableOctets,
  }
}

/** A failure as the application hears it. */
export function failureError(tcb: Tcb, failure: Failure): NetError {
  return new NetError(failure.code, failure.message, {
    syscall: tcb.established ? 'read' : 'connect',
    address: tcb.remote.address.toString(),
    port: tcb.remote.port,
    layer: 'tcp',
    reason: failure.reason,
    rfc: failure.rfc,
  })
}

/** Why nothing can be written: too early, or too late (RFC 9293 §3.10.2). */
export function notWritable(tcb: Tcb, syscall: string): NetError {
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
