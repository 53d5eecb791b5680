/** Whether the application may write now, and how much (RFC 9293 §3.10.2, RFC 7413 §4.1.3). */
import { type Tcb, WRITABLE } from './tcb.ts'

export function canWrite(tcb: Tcb): boolean {
  const { state } = tcb
  if (tcb.finQueued || tcb.orphan) return false
  if (state === 'ESTABLISHED' || state === 'CLOSE-WAIT') return true
  return state === 'SYN-SENT' ? tcb.options.fastOpen > 0 : state === 'SYN-RECEIVED' && tcb.early
}

/** Octets that the send queue may hold; until the handshake is complete, what the SYN may, and nothing once it has left. */
function writeLimit(tcb: Tcb): number {
  if (tcb.state !== 'SYN-SENT') return tcb.sendLimit
  return tcb.fastOpen?.isOpen(tcb) === true ? Math.min(tcb.fastOpen.room, tcb.sendLimit) : 0
}

/** Octets that may be written now. */
export function writeRoom(tcb: Tcb): number {
  const { notSentLowWater } = tcb.options
  const room = writeLimit(tcb) - tcb.queuedOctets
  return Math.max(notSentLowWater === 0 ? room : Math.min(room, notSentLowWater - unsentOctets(tcb)), 0)
}

/**
 * There may be more room: may the application, which waits for that, write on? Half of what it can have waiting must be free.
 * While a SYN is under way, its answer says so.
 */
export function noteRoom(tcb: Tcb): void {
  if (!tcb.wantsWritable || tcb.state === 'SYN-SENT') return
  const { notSentLowWater: mark } = tcb.options
  const limit = tcb.sendLimit
  const least = (mark === 0 ? limit : Math.min(mark, limit)) / 2
  if (unsentOctets(tcb) > least || tcb.queuedOctets > limit - least) return
  tcb.wantsWritable = false
  tcb.events |= WRITABLE
}

const unsentOctets = ({ snd }: Tcb): number => Math.max((snd.end - snd.nxt) | 0, 0)
