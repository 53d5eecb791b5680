/** The station address of a group (RFC 1112 §6.4): 01:00:5e, and 23 bits of the group's. */
import type { LinkAddress } from '../../datalink/service.ts'

const PREFIX: LinkAddress = 0x0100_5e00_0000

export const multicastMac = (group: number): LinkAddress => PREFIX + (group & 0x7f_ffff)
