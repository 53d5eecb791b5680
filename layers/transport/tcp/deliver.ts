/** Data and FIN that are in the window: into the receive queue, or the list of those that wait for their turn. */
import type { Instant } from '../../../src/kernel/clock.ts'
import type { Packet } from '../../../src/kernel/packet.ts'
import { before } from '../../../src/kernel/sequence.ts'
import { beQuickAfterTrouble, noteArrival, scheduleAck, scheduleAckOfFin } from './ack-policy.ts'
import type { Verdict } from './input.ts'
import { mayQueue, ReceiveQueue } from './receive-queue.ts'
import type { ReceiveSpace } from './receive-space.ts'
import { rightSized } from './right-size.ts'
import { CE, CWR, type Segment } from './segment.ts'
import { READABLE, type Tcb } from './tcb.ts'

/** Slots hold 2 KB at least, larger ones are a quarter full at least: a window of segments of 536 octets fits. */
const SLOTS_PER_WINDOW = 4

/** Takes in the data of `packet`, trimmed to the window; `seg.seq` is the sequence number of its first octet. */
export function deliver(tcb: Tcb, seg: Segment, packet: Packet, now: Instant): Verdict {
  const { rcv } = tcb
  if (tcb.orphan) {
    // Nobody will read this, and the peer must know (RFC 9293 §3.6.1 SHLD-3, RFC 2525 §2.17)
    return 'dataAfterClose'
  }
  if (tcb.finSeen && !endAtFin(tcb, seg, packet)) return 'beyondFin'
  // As if it had been lost: it comes again, and then something may have been read.
  if (!mayQueue(tcb.receiveQueue)) return 'memoryFull'
  const length = packet.length
  const whole = packet.segmentOctets > 0
  const full = whole ? packet.segmentOctets : length
  if (full > tcb.rcvMss) tcb.rcvMss = Math.min(full, Math.max(tcb.announcedMss, tcb.rcvMss))
  noteArrival(tcb, now)
  tcb.watchReading(now)
  if (tcb.receiveSpace !== null) measureArrival(tcb, tcb.receiveSpace, seg, length, now)
  if (tcb.ecn) heedMarks(tcb, seg)
  if (seg.seq !== rcv.nxt) return outOfOrder(tcb, seg, packet)
  const verdict = append(tcb, packet, length)
  if (tcb.reassembly !== null && !tcb.reassembly.isEmpty) {
    if (tcb.settings.dsack) tcb.sackBlocks?.overlap(seg.seq, rcv.nxt)
    drainReassembly(tcb)
  }
  if (tcb.finSeen && rcv.nxt === tcb.finSeq) {
    finInOrder(tcb)
    tcb.ackNow = true
  }
  scheduleAck(tcb, whole, now)
  return verdict
}

/** The stream ends at a FIN that waits for its turn. @returns false when nothing of the packet lies before it. */
function endAtFin(tcb: Tcb, seg: Segment, packet: Packet): boolean {
  const room = (tcb.finSeq - seg.seq) | 0
  if (room <= 0) tcb.ackNow = true
  else if (packet.length > room) packet.trim(room)
  return room > 0
}

/** The round trip as a receiver sees it, by full segments: others may have waited for the application. */
function measureArrival(tcb: Tcb, space: ReceiveSpace, seg: Segment, length: number, now: Instant): void {
  if (!tcb.timestamps) space.arrives(tcb.rcv.nxt, tcb.rcv.wnd, now)
  else if (seg.hasTimestamps && length >= tcb.rcvMss && seg.tsecr !== 0)
    space.echoes(seg.tsecr, ((tcb.tsval(now) - seg.tsecr) | 0) * 1000)
}

/** A router's mark is echoed in every ACK until the sender says that it has slowed down (RFC 3168 §6.1.3). */
function heedMarks(tcb: Tcb, seg: Segment): void {
  // The sender has slowed down: its window may be very small now, and must not wait for us.
  if ((seg.flags & CWR) !== 0) tcb.ackNow = true
  if (seg.ecn === CE && !tcb.ecnEcho) {
    tcb.ecnEcho = tcb.ackNow = true
    beQuickAfterTrouble(tcb)
  }
}

function append(tcb: Tcb, packet: Packet, length: number): Verdict {
  tcb.rcv.nxt = (tcb.rcv.nxt + length) | 0
  tcb.octetsReceived += length
  if (tcb.readShut) {
    // Acknowledged, thrown away, and the window stays as large as it was.
    return 'readShut'
  }
  tcb.rcv.wnd -= length
  tcb.receiveQueue ??= ReceiveQueue.take()
  tcb.receiveQueue.append(rightSized(packet))
  tellReadable(tcb)
  return 'kept'
}

/** The peer learns of the hole at once, by an ACK for each such segment (RFC 5681 §4.2). */
function outOfOrder(tcb: Tcb, seg: Segment, packet: Packet): Verdict {
  tcb.ackNow = tcb.ackEach = true
  if (tcb.readShut) return 'readShut'
  const end = (seg.seq + packet.length) | 0
  const outcome = tcb.reassemble().insert(packet, seg.seq, SLOTS_PER_WINDOW * tcb.receiveLimit)
  if (outcome === 'full') return 'reassemblyFull'
  if (outcome === 'duplicate') tcb.sackDuplicate(seg.seq, end)
  else if (tcb.settings.dsack) tcb.sackBlocks?.overlap(seg.seq, end)
  // Its block comes first, or behind what it repeats (RFC 2018 §4, RFC 2883 §4).
  tcb.sackOutOfOrder(seg.seq, end)
  return outcome === 'kept' ? 'kept' : 'duplicateData'
}

function drainReassembly(tcb: Tcb): void {
  const list = tcb.reassemble()
  for (let packet = list.take(tcb.rcv.nxt); packet !== undefined; packet = list.take(tcb.rcv.nxt)) {
    const room = tcb.finSeen ? (tcb.finSeq - tcb.rcv.nxt) | 0 : packet.length
    if (packet.length > room) packet.trim(room)
    if (append(tcb, packet, packet.length) !== 'kept') packet.release()
    if (tcb.finSeen && tcb.rcv.nxt === tcb.finSeq) break
  }
  tcb.sackBlocks?.advance(tcb.rcv.nxt)
  // A hole was filled, wholly or in part: tell at once (RFC 5681 §4.2)
  tcb.ackNow = true
}

/** A FIN at `finSeq`, in the window (RFC 9293 §3.10.7.4 eighth). */
export function finArrives(tcb: Tcb, finSeq: number, now: Instant): void {
  // A stream ends once: another FIN elsewhere is none.
  if (before(finSeq, tcb.rcv.nxt) || tcb.finReceived || (tcb.finSeen && finSeq !== tcb.finSeq)) {
    tcb.ackNow = true
    return
  }
  tcb.finSeen = true
  tcb.finSeq = finSeq
  if (tcb.rcv.nxt !== finSeq) {
    tcb.ackNow = tcb.ackEach = true
    tcb.sackOutOfOrder(finSeq, (finSeq + 1) | 0)
    return
  }
  const open = tcb.state === 'ESTABLISHED'
  finInOrder(tcb)
  if (open) scheduleAckOfFin(tcb, now)
  else tcb.ackNow = true
}

function finInOrder(tcb: Tcb): void {
  tcb.finSeen = false
  tcb.finReceived = true
  if (tcb.reassembly !== null && !tcb.reassembly.isEmpty) {
    // It lies beyond the end.
    tcb.reassembly.clear()
    tcb.sackBlocks = null
  }
  tcb.rcv.nxt = (tcb.rcv.nxt + 1) | 0
  tcb.sackBlocks?.advance(tcb.rcv.nxt)
  tellReadable(tcb)
  switch (tcb.state) {
    case 'SYN-RECEIVED':
    case 'ESTABLISHED':
      tcb.state = 'CLOSE-WAIT'
      return
    case 'FIN-WAIT-1':
      // Had our FIN been acknowledged by this segment, this would be FIN-WAIT-2.
      tcb.state = 'CLOSING'
      return
    case 'FIN-WAIT-2':
      tcb.state = 'TIME-WAIT'
      return
  }
}

function tellReadable(tcb: Tcb): void {
  if (tcb.readableTold) return
  tcb.readableTold = true
  tcb.events |= READABLE
}
