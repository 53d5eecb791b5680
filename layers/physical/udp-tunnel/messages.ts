/**
 * Messages as `sendmmsg(2)` and `recvmmsg(2)` take them on 64-bit Linux, in one piece of memory that never moves. Both
 * calls are done with it when they return, so one set of each serves all tunnels of a thread.
 *
 *   mmsghdr ──► name     sockaddr
 *           ──► iovec …  runs of octets in the slab
 *           ──► control  how long each datagram of the message is (udp(7): UDP_SEGMENT, UDP_GRO)
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import type { Queue } from '../../../src/kernel/queue.ts'
import { PAGE_OCTETS, slab } from '../../../src/kernel/slab.ts'
import type { DatagramCalls } from '../libc.ts'
import { ADDRESS_WORDS, type SocketAddress, SocketAddressReader } from './socket-address.ts'

/** `struct mmsghdr` in words: pointers take two, `size_t` too. */
const HEADER_WORDS = 16
const NAME = 0
const NAME_LENGTH = 2
const RUNS = 4
const RUN_COUNT = 6
const CONTROL = 8
const CONTROL_LENGTH = 10
const FLAGS = 12
const LENGTH = 14
/** `struct iovec` in words. */
const RUN_WORDS = 4
/** `struct cmsghdr` in words, with its data: length, level, type, value. */
const CONTROL_WORDS = 6
const CONTROL_LEVEL = 2
const CONTROL_TYPE = 3
const CONTROL_VALUE = 4
const CONTROL_HEADER_OCTETS = 16
const WORD_OCTETS = 4

export const SOL_UDP = 17
export const UDP_SEGMENT = 103
export const UDP_GRO = 104
const MSG_DONTWAIT = 0x40

/** Datagrams of one message at the most (UDP_MAX_SEGMENTS of Linux up to 6.8), and their octets. */
const MOST_SEGMENTS = 64
const MOST_OCTETS = 65_507

/** Headers with their names, runs and controls, each laid out one behind the other. */
class Messages {
  readonly words: Uint32Array
  readonly address: number
  readonly names: number
  readonly runs: number
  readonly controls: number
  private readonly calls: DatagramCalls

  constructor(calls: DatagramCalls, count: number, runs: number) {
    this.calls = calls
    this.names = count * HEADER_WORDS
    this.controls = this.names + count * ADDRESS_WORDS
    this.runs = this.controls + count * CONTROL_WORDS
    const octets = new Uint8Array((this.runs + runs * RUN_WORDS) * WORD_OCTETS)
    this.words = new Uint32Array(octets.buffer)
    this.address = calls.addressOf(octets)
    for (let i = 0; i < count; i++) {
      this.point(i * HEADER_WORDS + NAME, this.address + (this.names + i * ADDRESS_WORDS) * WORD_OCTETS)
      this.point(i * HEADER_WORDS + CONTROL, this.address + (this.controls + i * CONTROL_WORDS) * WORD_OCTETS)
    }
  }

  /** Writes an address of 64 bits. */
  point(at: number, address: number): void {
    this.words[at] = address >>> 0
    this.words[at + 1] = Math.floor(address / 0x1_0000_0000)
  }

  send(fd: number, count: number): number {
    return this.calls.sendmmsg(fd, this.address, count, MSG_DONTWAIT)
  }

  receive(fd: number, count: number): number {
    return this.calls.recvmmsg(fd, this.address, count, MSG_DONTWAIT, 0)
  }
}

/** Messages of one call at the most, and the datagrams they are made of. */
const SEND_MESSAGES = 64
const SEND_DATAGRAMS = 512

/** Datagrams on their way out: those to the same place, all as long as the first but the last, are one message. */
export class SendBatch {
  private readonly messages: Messages
  private readonly slabLow: number
  private readonly slabHigh: number
  /** Datagrams of each message. */
  private readonly counts = new Uint16Array(SEND_MESSAGES)

  constructor(calls: DatagramCalls) {
    this.messages = new Messages(calls, SEND_MESSAGES, SEND_DATAGRAMS)
    const { words, controls } = this.messages
    for (let i = 0; i < SEND_MESSAGES; i++) {
      const at = controls + i * CONTROL_WORDS
      words[at] = CONTROL_HEADER_OCTETS + 2
      words[at + CONTROL_LEVEL] = SOL_UDP
      words[at + CONTROL_TYPE] = UDP_SEGMENT
    }
    const address = calls.slabAddress()
    this.slabLow = address >>> 0
    this.slabHigh = Math.floor(address / 0x1_0000_0000)
  }

  /**
   * Makes messages of the first datagrams that wait, which stay where they are.
   * @param packets and, at the same places, `to`: where they go. At least one.
   * @param longest octets of datagrams that may be joined.
   * @returns how many messages there are.
   */
  fill(packets: Queue<Packet>, to: Queue<SocketAddress>, longest: number): number {
    const end = Math.min(packets.length, SEND_DATAGRAMS)
    let message = 0
    for (let i = 0; i < end && message < SEND_MESSAGES; message++) i += this.join(message, packets, to, i, end, longest)
    return message
  }

  /** Datagrams of a message of the last `fill`. */
  datagrams(message: number): number {
    return this.counts[message] as number
  }

  /** @returns as `sendmmsg`. */
  send(fd: number, count: number): number {
    return this.messages.send(fd, count)
  }

  /** Makes one message of the datagram at `from`, and those behind it that go along. @returns how many that are. */
  private join(
    message: number,
    packets: Queue<Packet>,
    to: Queue<SocketAddress>,
    from: number,
    end: number,
    longest: number,
  ): number {
    const address = to.at(from) as SocketAddress
    const size = (packets.at(from) as Packet).length
    let octets = 0
    let at = from
    for (let length = size; ; ) {
      this.run(at, packets.at(at) as Packet)
      octets += length
      at++
      if (length < size || size > longest || at === end || at - from === MOST_SEGMENTS || to.at(at) !== address) break
      length = (packets.at(at) as Packet).length
      // Behind others, one of no octets would not be seen.
      if (length === 0 || length > size || octets + length > MOST_OCTETS) break
    }
    this.head(message, address, from, at - from, size)
    this.counts[message] = at - from
    return at - from
  }

  private run(index: number, packet: Packet): void {
    const { words, runs } = this.messages
    const at = runs + index * RUN_WORDS
    const low = this.slabLow + packet.start
    words[at] = low
    words[at + 1] = low > 0xffff_ffff ? this.slabHigh + 1 : this.slabHigh
    words[at + 2] = packet.end - packet.start
  }

  private head(message: number, to: SocketAddress, firstRun: number, count: number, size: number): void {
    const { messages } = this
    const { words } = messages
    const at = message * HEADER_WORDS
    const name = messages.names + message * ADDRESS_WORDS
    for (let i = 0; i < ADDRESS_WORDS; i++) words[name + i] = to.words[i] as number
    words[at + NAME_LENGTH] = to.octets
    messages.point(at + RUNS, messages.address + (messages.runs + firstRun * RUN_WORDS) * WORD_OCTETS)
    words[at + RUN_COUNT] = count
    words[at + CONTROL_LENGTH] = count > 1 ? CONTROL_WORDS * WORD_OCTETS : 0
    words[messages.controls + message * CONTROL_WORDS + CONTROL_VALUE] = size
  }
}

/** Messages received by one call at the most; each has room for what UDP_GRO makes of a burst. */
const RECEIVE_MESSAGES = 8

/** Where messages are received: pages of the slab, from which each datagram is copied into a packet of its size. */
export class ReceiveBatch {
  /** Who sent the message last looked at. */
  readonly from: SocketAddressReader = new SocketAddressReader()
  private readonly messages: Messages
  private readonly landing: number

  constructor(calls: DatagramCalls) {
    this.messages = new Messages(calls, RECEIVE_MESSAGES, RECEIVE_MESSAGES)
    this.landing = slab().takePages(RECEIVE_MESSAGES)
    const { messages } = this
    for (let i = 0; i < RECEIVE_MESSAGES; i++) {
      const at = i * HEADER_WORDS
      const run = messages.runs + i * RUN_WORDS
      messages.point(run, calls.slabAddress() + this.start(i))
      messages.words[run + 2] = PAGE_OCTETS
      messages.point(at + RUNS, messages.address + run * WORD_OCTETS)
      messages.words[at + RUN_COUNT] = 1
    }
  }

  /** @returns as `recvmmsg`. */
  receive(fd: number): number {
    const { words } = this.messages
    for (let i = 0; i < RECEIVE_MESSAGES; i++) {
      words[i * HEADER_WORDS + NAME_LENGTH] = ADDRESS_WORDS * WORD_OCTETS
      words[i * HEADER_WORDS + CONTROL_LENGTH] = CONTROL_WORDS * WORD_OCTETS
      words[i * HEADER_WORDS + FLAGS] = 0
    }
    return this.messages.receive(fd, RECEIVE_MESSAGES)
  }

  /** Where a message begins in the slab. */
  start(message: number): number {
    return this.landing + message * PAGE_OCTETS
  }

  /** Octets of a message. */
  length(message: number): number {
    return this.messages.words[message * HEADER_WORDS + LENGTH] as number
  }

  /** Octets of each of its datagrams, but for the last, which may be shorter; with only one, those of the message. */
  size(message: number): number {
    const { words, controls } = this.messages
    const at = controls + message * CONTROL_WORDS
    const told =
      (words[message * HEADER_WORDS + CONTROL_LENGTH] as number) > CONTROL_HEADER_OCTETS &&
      words[at + CONTROL_LEVEL] === SOL_UDP &&
      words[at + CONTROL_TYPE] === UDP_GRO
    return told ? (words[at + CONTROL_VALUE] as number) : this.length(message)
  }

  /** Reads who sent a message into `from`. */
  look(message: number): void {
    this.from.read(this.messages.words, this.messages.names + message * ADDRESS_WORDS)
  }
}
