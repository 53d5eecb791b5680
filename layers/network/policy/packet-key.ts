/** What of a packet a policy looks at, taken out of its header once. */

import type { PolicyHook, PolicyPacket } from '../../../src/api/rules.ts'
import { IpAddress } from '../../../src/kernel/address.ts'

/** In the order of their indexes. */
export const HOOKS: readonly PolicyHook[] = ['forward', 'input', 'output']

/** TCP's flags. */
const SYN = 0x02
const RST = 0x04
const ACK = 0x10

/** Scratch, filled by a family. */
export class PacketKey implements PolicyPacket {
  /** 0 to 2, as in `HOOKS`. */
  hookIndex = 0
  /** The family of the packet, whatever its addresses look like. */
  readonly isIpv4: boolean
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

  constructor(isIpv4: boolean, nameOf: (link: number) => string) {
    this.isIpv4 = isIpv4
    this.nameOf = nameOf
  }

  get hook(): PolicyHook {
    return HOOKS[this.hookIndex] as PolicyHook
  }

  set hook(hook: PolicyHook) {
    this.hookIndex = hook === 'forward' ? 0 : hook === 'input' ? 1 : 2
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
