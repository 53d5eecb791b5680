/**
 * The promise-free API of the transport tier: connections, datagrams and echo, by calls and handlers.
 *
 * It is what `node.net` and `node.dgram` are built on, and what to use directly where speed matters. Octets move in the
 * caller's buffers; handlers are objects, called from the stack, and may call back at once. Nothing here allocates per
 * packet. Misuse throws `TypeError` or `RangeError` with Node's codes; what the network does is told to handlers.
 */
import type { IpAddress } from '../kernel/address.ts'
import type { Duration } from '../kernel/clock.ts'
import type { NetError } from '../kernel/errors.ts'
import type { ConnectionInfo } from './connection-info.ts'
import type { NetworkControl } from './routes.ts'

export type { CongestionState, ConnectionInfo } from './connection-info.ts'

/** One end of a connection or datagram. The address object belongs to the stack: read it, do not keep or change it. */
export interface Endpoint {
  readonly address: IpAddress
  readonly port: number
  /** The link of an address that `isScoped`, by name; else '' or undefined. */
  readonly zone?: string | undefined
}

/** States of a connection (RFC 9293 §3.3.2). */
export type ConnectionState =
  | 'CLOSED'
  | 'LISTEN'
  | 'SYN-SENT'
  | 'SYN-RECEIVED'
  | 'ESTABLISHED'
  | 'FIN-WAIT-1'
  | 'FIN-WAIT-2'
  | 'CLOSE-WAIT'
  | 'CLOSING'
  | 'LAST-ACK'
  | 'TIME-WAIT'

/** What a connection can be told; the same names are read by `get`. */
export interface ConnectionOptions {
  /** Send small segments at once (no Nagle); setting it sends what is queued, even if corked. Default false. */
  noDelay: boolean
  /** Hold back segments that are not full, until cleared. Default false. */
  cork: boolean
  /** Largest segment to send and to announce, in octets; 0: by the path. Before `connect` or `listen`. */
  maxSegment: number
  /** How long sent data may stay unacknowledged before the connection is given up (RFC 5482); 0: by retransmissions. */
  userTimeout: Duration
  /** Said to the peer by an option (RFC 5482), whose own is followed then, unless `userTimeout` is set. 0: neither. Default 0. */
  advertisedTimeout: Duration
  /**
   * Data with the SYN (RFC 7413), which may be delivered twice. For `connect` anything but 0: what is written in the same turn goes
   * with it as far as it fits, given a cookie. For `listen`: how many such may wait for the end of their handshakes. Default 0.
   */
  fastOpen: number
  /** Probe an idle peer. Default false. */
  keepAlive: boolean
  /** Idle time before the first probe; default 2 hours. */
  keepAliveIdle: Duration
  /** Time between probes; default 75 s. */
  keepAliveInterval: Duration
  /** Probes without an answer before giving up; default 9. */
  keepAliveCount: number
  /** SYNs sent again before `connect` fails with ETIMEDOUT; default 6. */
  synRetries: number
  /** Octets the send queue holds, sent but unacknowledged ones included. Unless set for the connection, it grows with the window. */
  sendBuffer: number
  /**
   * Octets the receive queue holds: the largest window offered. Unless it is set for the connection, the window grows beyond
   * it while the application reads as fast as the path delivers.
   */
  receiveBuffer: number
  /** The TOS octet of what is sent (DSCP). */
  trafficClass: number
  /** TTL of what is sent. */
  ttl: number
  /** Follow the path MTU by setting DF (RFC 1191). Default true. */
  pathMtuDiscovery: boolean
  /** What `close` does with unsent data: undefined sends it in the background; 0 resets; else resets after that time. */
  linger: Duration | undefined
  /** Decides how much may be in flight. Default 'cubic'. */
  congestionControl: CongestionControl
  /** Octets of data a second to send at the most, what goes again included; 0: as fast as the path allows. Default 0. */
  maxPacingRate: number
  /**
   * Octets written and not yet sent that make `write` take no more (Linux's TCP_NOTSENT_LOWAT); 0: what the send queue holds.
   * `writable` follows when half of them have left. What is written stays current, however much is in flight. Default 0.
   */
  notSentLowWater: number
}

/** CUBIC (RFC 9438), Reno (RFC 5681), or none at all: only for paths that cannot be congested. */
export type CongestionControl = 'cubic' | 'reno' | 'none'

/** What happens on a connection. Every method is optional; each is called from the stack, never within a call to it. */
export interface ConnectionHandler {
  /** The handshake is complete. */
  established?(connection: Connection): void
  /** A segment was sent again `reportRetries` times (R1 of RFC 9293 §3.8.3): the network looks at the way, we go on until R2. */
  unanswered?(connection: Connection): void
  /** Octets, or the end of the stream, can be read. Told once until `read` has emptied the queue. */
  readable?(connection: Connection): void
  /** After `write` took less than offered: the send queue has room again. */
  writable?(connection: Connection): void
  /** All octets written so far have been acknowledged. Told only when asked for by `notifyDrained`. */
  drained?(connection: Connection): void
  /**
   * The connection is over, and all its memory but TIME-WAIT's given back. Last call.
   * @param error null after an orderly close of both directions, else ECONNRESET, ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, … What was received
   * can be read before: all of it after an orderly close, and after a reset that lost nothing of what was written.
   */
  closed?(connection: Connection, error: NetError | null): void
  /** An ICMP error that does not end the connection (RFC 1122 §4.2.3.9). */
  softError?(connection: Connection, error: NetError): void
}

/** One end of a stream of octets (a TCP connection). */
export interface Connection {
  /** May be exchanged at any time, for example after `accept`. */
  handler: ConnectionHandler
  readonly state: ConnectionState
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Octets that `read` would give now. */
  readonly readableOctets: number
  /** The peer has closed its direction and everything before that has been read. */
  readonly ended: boolean
  /** Octets that `write` would take now. */
  readonly writableOctets: number
  /** Octets written and not yet acknowledged. */
  readonly queuedOctets: number
  /**
   * Copies octets into the send queue.
   * @param more there is more to be written soon: what does not fill a segment waits for that, for an acknowledgment, or
   * for a retransmission timeout (as MSG_MORE does on Linux). A host's own sockets take no notice. Default false.
   * @returns how many were taken; fewer than `length` means: wait for `writable`.
   * @throws NetError EPIPE — this direction is closed. ENOTCONN — not connected.
   */
  write(octets: Uint8Array, start?: number, length?: number, more?: boolean): number
  /** Copies octets out of the receive queue. @returns how many; 0 when there are none (see `ended`). */
  read(into: Uint8Array, start?: number, length?: number): number
  /**
   * What is written from here on shares no segment with what was written before (Linux's MSG_EOR); a record does not wait for
   * more. Of more than 1024 records not acknowledged, the further ones may be joined.
   */
  endRecord(): void
  /** Asks for `drained` once. @returns false when nothing is queued already. */
  notifyDrained(): boolean
  /** 'write' sends FIN after the data. 'read' discards what still comes. */
  shutdown(direction: 'read' | 'write'): void
  /** Closes both directions (RFC 9293 §3.10.4); unread data turns it into a reset (RFC 2525 §2.17). */
  close(): void
  /**
   * Resets the connection (RFC 9293 §3.10.5). What was written goes before the reset as far as the windows let it now; the
   * rest is lost, and nothing goes again. `closed` follows, with ECONNABORTED.
   */
  abort(): void
  set<Name extends keyof ConnectionOptions>(name: Name, value: ConnectionOptions[Name]): void
  get<Name extends keyof ConnectionOptions>(name: Name): ConnectionOptions[Name]
  info(): ConnectionInfo
}

export interface ConnectRequest {
  readonly address: IpAddress
  /** 1 to 65535. */
  readonly port: number
  /** Default: chosen by route. */
  readonly localAddress?: IpAddress | undefined
  /** 0 or undefined: an ephemeral port (RFC 6056). */
  readonly localPort?: number | undefined
  /** Name of the link to leave by; default: by route. */
  readonly link?: string | undefined
  readonly options?: Partial<ConnectionOptions> | undefined
}

export interface ListenRequest {
  /** `::` is every address of the node, and so is the default; `0.0.0.0` every one of IPv4. */
  readonly address?: IpAddress | undefined
  /** Of `::`: IPv6 alone. Default false. */
  readonly ipv6Only?: boolean | undefined
  /** 0: an ephemeral port. */
  readonly port: number
  /** Connections that are complete but not accepted, at the most; further ones wait in the peers. Default 511. */
  readonly backlog?: number | undefined
  readonly link?: string | undefined
  /** What accepted connections start with. */
  readonly options?: Partial<ConnectionOptions> | undefined
}

export interface Listener {
  readonly local: Endpoint
  /** Stops listening. Connections accepted before stay; those not yet accepted are reset. */
  close(): void
  /** Takes the next complete connection out of the backlog, or undefined. */
  accept(): Connection | undefined
}

export interface ListenHandler {
  /** `accept` has something to give. Told once until `accept` has emptied the backlog. */
  acceptable(listener: Listener): void
  /** The listener is gone by no doing of its owner (its address was removed). */
  closed?(listener: Listener, error: NetError): void
}

/** A SYN, or the first datagram of a flow, to an address of an intercepted prefix, before anything was answered. */
export interface InterceptRequest {
  readonly source: Endpoint
  /** Where the sender wanted to go; the local address of what `accept` gives. */
  readonly destination: Endpoint
}

export interface StreamRequest extends InterceptRequest {
  /**
   * Completes the handshake; `established` follows.
   * @throws NetError ECONNABORTED — the request has been answered. ENOBUFS — too many connections; it is dropped then.
   */
  accept(handler: ConnectionHandler, options?: Partial<ConnectionOptions>): Connection
  /** Answers with a reset: connection refused. */
  reset(): void
  /** Answers with ICMP host unreachable. */
  unreachable(): void
  /** Does not answer. */
  drop(): void
}

/** Which destinations to intercept. */
export interface InterceptRule {
  /** '0.0.0.0/0' for all; the prefix is declared local for as long as the rule stands. */
  readonly prefix: string
  /** Default: all ports. */
  readonly ports?: readonly number[] | undefined
}

export interface StreamSockets {
  readonly stream: {
    /**
     * Starts a handshake. The outcome is told to the handler, on a later turn.
     * @throws NetError ENETUNREACH, EADDRNOTAVAIL, EADDRINUSE, ENETDOWN (the node is closed) — at once, where it is known at once.
     */
    connect(request: ConnectRequest, handler: ConnectionHandler): Connection
    /** @throws NetError EADDRINUSE, EADDRNOTAVAIL, ENETDOWN (the node is closed) */
    listen(request: ListenRequest, handler: ListenHandler): Listener
    /** Shows `decide` every SYN to the rule's destinations; an undecided request is dropped after 30 s. @returns undo. */
    intercept(rule: InterceptRule, decide: (request: StreamRequest) => void): () => void
    /** Every connection and listener, for listings. */
    list(): Iterable<StreamEntry>
  }
}

/** What `stream.list` tells of each. */
export interface StreamEntry {
  readonly state: ConnectionState
  readonly local: Endpoint
  readonly remote: Endpoint | undefined
  /** The link it is bound to, or that of a link-local peer, by name; else '' or undefined. */
  readonly link?: string | undefined
  info(): ConnectionInfo | undefined
}

/** What arrives on a datagram socket. Called from the stack; the octets are valid only during the call. */
export interface DatagramHandler {
  /**
   * @param octets the slab; the payload is [start, start + length).
   * @param from where it came from; scratch. @param to the address it was sent to (ours, or a broadcast).
   */
  message?(
    socket: DatagramSocket,
    octets: Uint8Array,
    start: number,
    length: number,
    from: Endpoint,
    to: Endpoint,
  ): void
  /** The network can take datagrams again after a `send` that returned false. */
  writable?(socket: DatagramSocket): void
  /**
   * An ICMP error for something sent (ECONNREFUSED, EHOSTUNREACH, EMSGSIZE); `remote` is the destination concerned.
   * @param from the router or host that says so; scratch, and undefined where the host's network does not tell.
   */
  error?(socket: DatagramSocket, error: NetError, remote: Endpoint, from?: IpAddress): void
  /** The same of one that may pass: no way there for now, too many hops (RFC 1122 §4.2.3.9). The host's network does not tell. */
  softError?(socket: DatagramSocket, error: NetError, remote: Endpoint, from?: IpAddress): void
}

export interface DatagramOptions {
  broadcast: boolean
  ttl: number
  multicastTtl: number
  multicastLoopback: boolean
  trafficClass: number
  /** Set DF, and refuse with EMSGSIZE what does not fit the path. Default false: fragments. */
  pathMtuDiscovery: boolean
  /** Octets of datagrams that wait while the handler is paused; further ones are dropped and counted. */
  receiveBuffer: number
}

/** Whose datagrams to a group are wanted: those of the sources alone, or of all but them. */
export interface SourceFilter {
  readonly mode: 'include' | 'exclude'
  /** Up to 256. */
  readonly sources: readonly IpAddress[]
}

export interface DatagramSocket {
  handler: DatagramHandler
  readonly local: Endpoint
  /** After `connect`. */
  readonly remote: Endpoint | undefined
  /** Octets received and waiting (while paused). */
  readonly queuedOctets: number
  /**
   * Sends one datagram of up to 65507 octets.
   * @param address required unless connected, with `port`.
   * @param link name of the link of an address that `isScoped`; default: that of the socket, or the only one.
   * @returns false when the network below is full: it was still taken, but better wait for `writable`.
   * @throws NetError EMSGSIZE, ENETUNREACH, EHOSTUNREACH, EACCES (broadcast without the option), EDESTADDRREQ
   */
  send(octets: Uint8Array, start: number, length: number, address?: IpAddress, port?: number, link?: string): boolean
  /** Receives only from this peer from now on, and sends to it by default. @param link as of `send`. @throws NetError ENETUNREACH */
  connect(address: IpAddress, port: number, link?: string): void
  disconnect(): void
  /**
   * Receives what is sent to a group on a link, until `leave` or `close` (RFC 3376, RFC 3810), also when the link has gone and come
   * again under its name. Once more for the same changes the filter. A socket gets nothing of groups it has not joined, but for those that everybody is in.
   * @param link its name, or one of our addresses on it; default: the one the socket is bound to, else the one that leads to the group.
   * @param filter default: everybody.
   * @throws TypeError ERR_INVALID_ARG_VALUE — no group. NetError ENODEV — no such link. ENOBUFS — more than 1024 groups, or 256 sources.
   */
  join(group: IpAddress, link?: string, filter?: SourceFilter): void
  /** @param link as for `join`; it may be away. @throws NetError EADDRNOTAVAIL — it was not joined. ENODEV — no such link. */
  leave(group: IpAddress, link?: string): void
  /** Sends to groups by this link, as `join` names it; undefined: by the routes. @throws NetError ENODEV */
  sendGroupsBy(link: string | undefined): void
  /** Holds arriving datagrams back, in the bounded queue; `resume` hands them over. */
  pause(): void
  resume(): void
  set<Name extends keyof DatagramOptions>(name: Name, value: DatagramOptions[Name]): void
  get<Name extends keyof DatagramOptions>(name: Name): DatagramOptions[Name]
  close(): void
}

export interface BindRequest {
  /** `::` is every address of the node, and so is the default; `0.0.0.0` every one of IPv4. */
  readonly address?: IpAddress | undefined
  /** Of `::`: IPv6 alone. Default false. */
  readonly ipv6Only?: boolean | undefined
  /** 0 or undefined: an ephemeral port. */
  readonly port?: number | undefined
  /** Only by this link, in and out. */
  readonly link?: string | undefined
  /** Share the port with other sockets that say so too (Node's `reuseAddr`). */
  readonly reuse?: boolean | undefined
  readonly options?: Partial<DatagramOptions> | undefined
}

export interface DatagramRequest extends InterceptRequest {
  /** A socket bound to `destination` and connected to `source`; the datagram that asked is its first message. */
  accept(handler: DatagramHandler, options?: Partial<DatagramOptions>): DatagramSocket
  /** Answers with ICMP port unreachable. */
  reset(): void
  unreachable(): void
  drop(): void
}

export interface DatagramSockets {
  readonly datagram: {
    /** @throws NetError EADDRINUSE, EADDRNOTAVAIL, ENODEV (no such link) */
    bind(request: BindRequest, handler: DatagramHandler): DatagramSocket
    intercept(rule: InterceptRule, decide: (request: DatagramRequest) => void): () => void
    list(): Iterable<DatagramEntry>
  }
}

/** What `datagram.list` tells of each socket. */
export interface DatagramEntry {
  readonly local: Endpoint
  readonly remote: Endpoint | undefined
  /** The link it is bound to, by name; else '' or undefined. */
  readonly link?: string | undefined
  readonly queuedOctets: number
}

/** An answer to an echo request, or the error a router or host sent instead. */
export interface EchoReply {
  /** Who answered. */
  readonly address: string
  /** 'reply', or the reason of the ICMP error: 'timeExceeded', 'hostUnreachable', … */
  readonly outcome: string
  readonly octets: number
  /** Of the reply's own header. */
  readonly ttl: number
  /** Microseconds from the request to the answer. */
  readonly roundTrip: Duration
}

export interface EchoRequest {
  readonly address: IpAddress
  /** Name of the link to leave by; default: by route. */
  readonly link?: string | undefined
  /** Octets of payload, 0 to 65507; default 56. */
  readonly size?: number | undefined
  readonly ttl?: number | undefined
  readonly dontFragment?: boolean | undefined
}

export interface IcmpSockets {
  readonly icmp: {
    /**
     * Sends an echo request (RFC 792, RFC 4443 §4.1).
     * @param answered told of the answer, on a later turn.
     * @returns a function that stops waiting.
     * @throws NetError ENETUNREACH, EMSGSIZE, ENODEV (no such link)
     */
    echo(request: EchoRequest, answered: (reply: EchoReply) => void): () => void
  }
}

/** Where a packet to an address would come from. */
export interface Source {
  readonly address: IpAddress
  /** Of its prefix, in bits of 128. */
  readonly length: number
  /** To be avoided (RFC 4862 §5.5.4). */
  readonly deprecated: boolean
}

/** @param link name of the link of a destination that `isScoped`. @returns undefined when there is no way there. */
export type SourceOf = (destination: IpAddress, link?: string) => Source | undefined

/** What every transport tier offers, the host's network included: all but interception. For code that runs on any. */
export interface PlainSockets {
  /** It understands IPv6 addresses. Default false. */
  readonly ipv6?: boolean | undefined
  /** What the addresses of a name are put in order by (RFC 6724 §6); without it they stay as given. */
  readonly sourceOf?: SourceOf | undefined
  readonly stream: Omit<StreamSockets['stream'], 'intercept'>
  readonly datagram: Omit<DatagramSockets['datagram'], 'intercept'>
}

/** The transport tier: what `sockets(tcp(), udp())` offers. */
export interface Sockets extends StreamSockets, DatagramSockets, IcmpSockets {
  readonly tier: 'transport'
  /** The network has IPv6. */
  readonly ipv6?: boolean | undefined
  /** As of `PlainSockets`. */
  readonly sourceOf?: SourceOf | undefined
  readonly network: NetworkControl
}
