/** The groups of one socket: on which links, and whose datagrams. */
import type { SourceFilter } from '../../../src/api/sockets.ts'
import { IpAddress } from '../../../src/kernel/address.ts'
import { invalidValue, NetError } from '../../../src/kernel/errors.ts'
import type { GroupMember, NetworkService } from '../../network/service.ts'

/** Groups of one socket, at the most. */
const MOST_GROUPS = 1024
/** Sources named for one of them, at the most. */
const MOST_SOURCES = 256
const EVERYBODY: SourceFilter = { mode: 'exclude', sources: [] }
/** Groups that everybody is in, and nobody joins: 224.0.0.1, and those of all nodes, of the node and of the link. */
const ALL_HOSTS = IpAddress.ipv4(0xe000_0001)
const ALL_NODES = [new IpAddress(0xff01_0000, 0, 0, 1), new IpAddress(0xff02_0000, 0, 0, 1)] as const

interface Membership {
  readonly group: IpAddress
  readonly member: GroupMember
  /** How `join` named the link. */
  readonly named: string | undefined
  filter: SourceFilter
}

export class Memberships {
  private readonly network: NetworkService
  private list: readonly Membership[] = []

  constructor(network: NetworkService) {
    this.network = network
  }

  /**
   * @param named the link; undefined: the one with the index `bound`, where that is not 0, else the one that leads to the group.
   * @throws TypeError, RangeError, NetError — see `DatagramSocket.join`.
   */
  join(group: IpAddress, named: string | undefined, bound: number, filter: SourceFilter = EVERYBODY): void {
    const link = this.linkOf(named, bound)
    if (!this.network.isMulticast(group)) throw invalidValue('group', 'the address of a group', group.toString())
    if (filter.sources.length > MOST_SOURCES) throw refused('ENOBUFS', `more than ${MOST_SOURCES} sources`)
    const own = { mode: filter.mode, sources: filter.sources.map((source) => source.clone()) }
    const known = this.find(group, link)
    if (known !== undefined) {
      known.filter = own
      known.member.change(own)
      return
    }
    if (this.list.length >= MOST_GROUPS) throw refused('ENOBUFS', `more than ${MOST_GROUPS} groups`)
    const member = this.network.joinGroup(group, link, own)
    if (member === undefined) throw refused('ENODEV', `no link leads to ${group}`)
    this.list = [...this.list, { group: group.clone(), member, named, filter: own }]
  }

  /** Named as for `join`, a link may also have gone since. @throws NetError EADDRNOTAVAIL, ENODEV */
  leave(group: IpAddress, named: string | undefined, bound: number): void {
    const asJoined = this.list.find((one) => one.group.equals(group) && one.named === named)
    const known = asJoined ?? this.find(group, this.linkOf(named, bound))
    if (known === undefined) throw refused('EADDRNOTAVAIL', `${group} was not joined`)
    known.member.leave()
    this.list = this.list.filter((other) => other !== known)
  }

  leaveAll(): void {
    for (const { member } of this.list) member.leave()
    this.list = []
  }

  /** Does the socket want what `source` sent to `group`? @param link it came in by; 0: our own. */
  wants(group: IpAddress, source: IpAddress, link: number): boolean {
    if (group.equals(ALL_HOSTS) || group.equals(ALL_NODES[0]) || group.equals(ALL_NODES[1])) return true
    for (const { group: joined, member, filter } of this.list) {
      if (!joined.equals(group) || (link !== 0 && link !== member.link)) continue
      if (filter.sources.some((one) => one.equals(source)) === (filter.mode === 'include')) return true
    }
    return false
  }

  private linkOf(named: string | undefined, bound: number): number {
    return named === undefined ? bound : linkBy(this.network, named)
  }

  private find(group: IpAddress, link: number): Membership | undefined {
    return this.list.find((one) => one.group.equals(group) && (link === 0 || one.member.link === link))
  }
}

/** The index of a link by its name, or by one of our addresses on it. @throws NetError ENODEV */
export function linkBy(network: NetworkService, text: string): number {
  const index = network.linkIndex(text)
  if (index !== 0) return index
  const link = network.control.links().find(({ addresses }) => addresses.some((own) => own.split('/')[0] === text))
  if (link !== undefined) return network.linkIndex(link.name)
  throw new NetError('ENODEV', `there is no link called '${text}'`, { syscall: 'bind', layer: 'udp' })
}

function refused(code: string, why: string): NetError {
  return new NetError(code, why, { syscall: 'setsockopt', layer: 'udp' })
}
