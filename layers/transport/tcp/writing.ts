/** Whether the application may write now, and how much (RFC 9293 §3.10.2, RFC 7413 §4.1.3). */
import type { Tcb } from './tcb.ts'

export function canWrite(tcb: Tcb): boolean {
  const { state } = tcb
  if (tcb.finQueued || tcb.orphan) return false
  if (state === 'ESTABLISHED' || state === 'CLOSE-WAIT') return true
  return state === 'SYN-SENT' ? tcb.options.fastOpen > 0 : state === 'SYN-RECEIVED' && tcb.early
}

/** Octets that the send queue may hold; until the handshake is complete, what the SYN may, and nothing once it has left. */
export function writeLimit(tcb: Tcb): number {
  if (tcb.state !== 'SYN-SENT') return tcb.sendLimit
  return tcb.fastOpen?.isOpen(tcb) === true ? Math.min(tcb.fastOpen.room, tcb.sendLimit) : 0
}
