/**
 * A reliable link as it is, without IP: records that arrive once, in order, as they were sent; and the news of the
 * connection. Records are the information fields of I frames.
 */
import type { Packet } from '../../../src/kernel/packet.ts'
import type { LinkAddress } from '../service.ts'
import type { AbmEvent } from './abm/event.ts'
import type { Connection, ConnectionUser } from './connection.ts'

/** Who uses a connection; its functions are called on the node's turns, and must not throw. */
export interface RecordHandler {
  /** A record. Takes ownership. */
  receive(connection: RecordConnection, packet: Packet): void
  /** Set up, or begun anew after `down`. */
  up?(connection: RecordConnection): void
  /** Gone, or begun anew, for a reason of `AbmReason`; `lost` records may not have arrived. */
  down?(connection: RecordConnection, reason: string, lost: number): void
  /** After `send` returned false: it takes records again. */
  ready?(connection: RecordConnection): void
}

export interface RecordConnection {
  readonly peer: LinkAddress
  /** The connection stands. What is sent before it does waits. */
  readonly isUp: boolean
  /** Everything that was sent has been acknowledged. */
  readonly idle: boolean
  /**
   * Octets of the longest record, which may come to be fewer as the peer tells what it takes (XID), and those that must
   * be free in front of it and behind.
   */
  readonly mtu: number
  readonly headroom: number
  readonly tailroom: number
  /** Takes ownership. @returns false when no more is taken until `ready`; the record still was. */
  send(packet: Packet): boolean
  /** Stops `receive`: the peer is told when the receive queue is full. */
  pause(): void
  resume(): void
  /** Releases the connection at once; wait for `idle` to lose nothing. */
  close(): void
}

/** What the layer below a record connection says of its frames. */
export interface RecordRoom {
  readonly mtu: number
  readonly headroom: number
  readonly tailroom: number
  /** Puts in front of a record what marks it as one, so many octets; default nothing. */
  readonly markOctets?: number
  mark?(packet: Packet): void
  /** How a marked record goes where it may be longer than a frame; default `Connection.send`. */
  send?(connection: Connection, packet: Packet): boolean
}

/** A connection's user that hands it to a handler. */
export class Records implements ConnectionUser, RecordConnection {
  readonly connection: Connection
  private readonly handler: RecordHandler
  private readonly room: RecordRoom

  constructor(connection: Connection, handler: RecordHandler, room: RecordRoom) {
    this.connection = connection
    this.handler = handler
    this.room = room
  }

  get peer(): LinkAddress {
    return this.connection.peer
  }

  get isUp(): boolean {
    return this.connection.up
  }

  get idle(): boolean {
    return this.connection.abm.idle
  }

  get mtu(): number {
    const { mtu, markOctets = 0, send } = this.room
    return send === undefined ? Math.max(0, Math.min(mtu, this.connection.abm.n1 - markOctets)) : mtu
  }

  get headroom(): number {
    return this.room.headroom
  }

  get tailroom(): number {
    return this.room.tailroom
  }

  send(packet: Packet): boolean {
    this.room.mark?.(packet)
    return this.room.send?.(this.connection, packet) ?? this.connection.send(packet)
  }

  pause(): void {
    this.connection.pause()
  }

  resume(): void {
    this.connection.resume()
  }

  close(): void {
    this.connection.disconnect()
  }

  received(_connection: Connection, packet: Packet): void {
    this.handler.receive(this, packet)
  }

  changed(_connection: Connection, { state, reason, lost }: AbmEvent): void {
    if (state !== 'up') this.handler.down?.(this, reason, lost)
    if (state !== 'down') this.handler.up?.(this)
  }

  writable(): void {
    this.handler.ready?.(this)
  }
}
