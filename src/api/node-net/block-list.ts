/** Addresses that a socket is to have nothing to do with (`net.BlockList`), as sockets of Node 22.13 and later take them. */
import net from 'node:net'
import { coded, invalidArgType } from './errors.ts'
import { type Found, familyOf, textOf } from './names.ts'
import type { Place } from './place.ts'

/** @throws TypeError ERR_INVALID_ARG_TYPE — unless it is a list, or none. */
export function requireBlockList(given: unknown, name: string): asserts given is net.BlockList | undefined {
  if (given && !(given instanceof net.BlockList)) throw invalidArgType(name, 'an instance of net.BlockList', given)
}

/** May nothing come from there? */
export function isBlocked(list: net.BlockList | undefined, { address, family }: Omit<Place, 'port'>): boolean {
  return list?.check(address, family === 'IPv4' ? 'ipv4' : 'ipv6') === true
}

/** @returns Node's error for a place to which nothing may go; undefined for others. */
export function refusal(list: net.BlockList | undefined, found: Found): Error | undefined {
  const address = textOf(found)
  if (!isBlocked(list, { address, family: familyOf(found) === 4 ? 'IPv4' : 'IPv6' })) return undefined
  return coded(new Error(`IP(${address}) is blocked by net.BlockList`), 'ERR_IP_BLOCKED')
}
