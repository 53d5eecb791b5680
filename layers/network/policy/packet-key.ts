/** What of a packet a policy looks at, taken out of its header once. */

import type { PolicyHook, PolicyPacket } from '../../../src/api/rules.ts'
import { IpAddress } from '../../../src/kernel/address.ts'

/** Bits of the hooks. */
export const HOOK_BIT: Readonly<Record<PolicyHook, number>> = { forward: 1, input: 2, output: 4 }

/** TCP's flags. */
const SYN = 0x02
const RST = 0x04
const ACK = 0x10

/** Scratch, filled by a family. */
export class PacketKey implements PolicyPacket {
  hook: PolicyHook = 'forward'
  /** Indexes of links; 0 for none. */
  inLink = 0
  outLink = 0
  readonly source: IpAddress = new IpAddress()
  readonly destination: IpAddress = new IpAddress()
  protocol = 0
  sourcePort = -1
  destinationPort = -1
  icmpType = -1
  tcpFlags = -1
  answer = false
  private readonly nameOf: (link: number) => string

  constructor(nameOf: (link: number) => string) {
    this.nameOf = nameOf
  }

  get in(): string {
    return this.nameOf(this.inLink)
  }

  get out(): string {
    return this.nameOf(this.outLink)
  }

  get isEstablished(): boolean {
    return this.tcpFlags >= 0 && (this.tcpFlags & (ACK | RST)) !== 0
  }

  get isNew(): boolean {
    return this.tcpFlags >= 0 && (this.tcpFlags & (SYN | ACK | RST)) === SYN
  }

  /** Forgets what only some packets have. */
  clear(): void {
    this.sourcePort = -1
    this.destinationPort = -1
    this.icmpType = -1
    this.tcpFlags = -1
    this.answer = false
  }
}
