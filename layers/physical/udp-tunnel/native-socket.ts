/** UDP sockets by system calls: bound, not blocking, and with what makes many datagrams cheap switched on. */
import { closeSync } from 'node:fs'
import { type DatagramCalls, errnoName } from '../libc.ts'
import { bindError } from './binding.ts'
import { type Endpoint, familyOf } from './endpoint.ts'
import type { EngineOptions } from './engine.ts'
import { SOL_UDP, UDP_GRO } from './messages.ts'
import {
  ADDRESS_WORDS,
  AF_INET,
  AF_INET6,
  type SocketAddress,
  SocketAddressReader,
  socketAddress,
} from './socket-address.ts'

const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const SO_SNDBUFFORCE = 32
const SO_RCVBUFFORCE = 33
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

/** @returns a descriptor, bound. @throws NetError EADDRINUSE EADDRNOTAVAIL EACCES … */
export function openSocket(calls: DatagramCalls, at: Endpoint, options: EngineOptions): number {
  const family = familyOf(at.host) === 6 ? AF_INET6 : AF_INET
  const fd = calls.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  if (fd < 0) throw bindError(errnoName(calls.errno()), at)
  if (family === AF_INET6) set(calls, fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
  const { bufferOctets } = options
  // The first is for those who may exceed the limits of the system.
  if (!set(calls, fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferOctets)) set(calls, fd, SOL_SOCKET, SO_RCVBUF, bufferOctets)
  if (!set(calls, fd, SOL_SOCKET, SO_SNDBUFFORCE, bufferOctets)) set(calls, fd, SOL_SOCKET, SO_SNDBUF, bufferOctets)
  set(calls, fd, SOL_UDP, UDP_GRO, 1)
  const address = socketAddress(at, (zone) => interfaceIndex(calls, zone))
  if (calls.bind(fd, octetsOf(address), address.octets) === 0) return fd
  const code = errnoName(calls.errno())
  closeSync(fd)
  throw bindError(code, at)
}

/** Where a socket is bound. @param asked what was asked for, with the zone if there is one. */
export function boundEndpoint(calls: DatagramCalls, fd: number, asked: Endpoint): Endpoint {
  const words = new Uint32Array(ADDRESS_WORDS)
  const length = new Uint8Array(Uint32Array.of(words.byteLength).buffer)
  if (calls.getsockname(fd, new Uint8Array(words.buffer), length) !== 0) return asked
  const reader = new SocketAddressReader()
  reader.read(words, 0)
  return { host: asked.host, port: reader.port }
}

/** The number of an interface; 0 when there is none of that name. */
export function interfaceIndex(calls: DatagramCalls, name: string): number {
  return calls.ifNameToIndex(Buffer.from(`${name}\0`))
}

/** @returns false when the system does not know it, or does not want it. */
function set(calls: DatagramCalls, fd: number, level: number, name: number, value: number): boolean {
  const octets = new Uint8Array(Int32Array.of(value).buffer)
  return calls.setsockopt(fd, level, name, octets, octets.length) === 0
}

function octetsOf({ words }: SocketAddress): Uint8Array {
  return new Uint8Array(words.buffer)
}
