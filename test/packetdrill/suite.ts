/** Scripts in folders, and over what they run where they do not say it themselves. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { IpVersion } from './language/ip-version.ts'
import type { Otherwise } from './run/runner.ts'

/** Over IPv6, for segments as long as over IPv4 with an MTU of 1500: its header has 20 octets more. */
const LARGER_MTU = 1520

/** The file itself, or every `.pkt` file of a folder and those in it, sorted. @throws what the file system says. */
export function findScripts(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.pkt'))
    .sort()
    .map((file) => join(path, file))
}

/**
 * Over what a script runs that has no line for it: what its name says, or else `chosen`. As by the original's runners,
 * one that is not made for IPv6 gets a larger MTU there.
 */
export function otherwiseOf(path: string, chosen: IpVersion): Otherwise {
  if (path.endsWith('v6.pkt')) return { ipVersion: 'ipv6' }
  if (path.endsWith('v4.pkt') && chosen === 'ipv6') return { ipVersion: 'ipv4' }
  return chosen === 'ipv6' ? { ipVersion: chosen, mtu: LARGER_MTU } : { ipVersion: chosen }
}
