/** Node's TLS knows the addresses of its own sockets only; over one of ours they are ours to tell. */
import type { TLSSocket } from 'node:tls'
import { Socket } from './socket.ts'

const PLACES = [
  'localAddress',
  'localPort',
  'localFamily',
  'remoteAddress',
  'remotePort',
  'remoteFamily',
  'address',
] as const

/** Gives a TLS socket the addresses of the socket that it stands on. @returns it. */
export function withPlaces(secured: TLSSocket, plain: Socket): TLSSocket {
  for (const name of PLACES) {
    const get = name === 'address' ? () => () => plain.address() : () => plain[name]
    Object.defineProperty(secured, name, { configurable: true, get })
  }
  return secured
}

/** As a first listener of 'secureConnection', where only Node knows what the TLS socket stands on. */
export function findPlaces(secured: TLSSocket): void {
  const { _handle: handle } = secured as { _handle?: { _parentWrap?: { stream?: unknown } } }
  const plain = handle?._parentWrap?.stream
  if (plain instanceof Socket) withPlaces(secured, plain)
}
