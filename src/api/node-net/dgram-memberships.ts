/** Multicast memberships in the words of Node's dgram: which groups and sources a socket has asked for, by interface. */
import type { IpAddress } from '../../kernel/address.ts'
import { tryParseAddress } from '../../kernel/address.ts'
import type { DatagramSocket } from '../sockets.ts'
import { asCall, invalidArgType, missingArgs, netError } from './errors.ts'

/** One group on one interface: undefined for all sources. */
interface Membership {
  readonly group: IpAddress
  readonly link: string | undefined
  sources: IpAddress[] | undefined
}

const CALLS = {
  add: 'addMembership',
  drop: 'dropMembership',
  addSource: 'addSourceSpecificMembership',
  dropSource: 'dropSourceSpecificMembership',
  via: 'setMulticastInterface',
} as const
type Call = (typeof CALLS)[keyof typeof CALLS]

/** What is done to a socket that is bound. */
type Change = (below: DatagramSocket) => void

export class DgramMemberships {
  private readonly list: Membership[] = []

  // Each checks its arguments at once, and gives what is to be done when the socket is bound.

  /** @throws Error EINVAL; TypeError ERR_MISSING_ARGS. Then: Error EADDRINUSE, ENODEV */
  add(groupText: string, interfaceText: string | undefined): Change {
    requireGroup(groupText)
    const { group, link } = placed(CALLS.add, groupText, interfaceText)
    return (below) => {
      if (this.find(group, link) !== undefined) throw netError('EADDRINUSE', CALLS.add, 'the group has been joined')
      this.change(CALLS.add, () => below.join(group, link))
      this.list.push({ group, link, sources: undefined })
    }
  }

  /** @throws Error EINVAL; TypeError ERR_MISSING_ARGS. Then: Error EADDRNOTAVAIL, ENODEV */
  drop(groupText: string, interfaceText: string | undefined): Change {
    requireGroup(groupText)
    const { group, link } = placed(CALLS.drop, groupText, interfaceText)
    return (below) => {
      const known = this.find(group, link)
      if (known === undefined) throw netError('EADDRNOTAVAIL', CALLS.drop, 'the group was not joined')
      this.leave(below, CALLS.drop, known)
    }
  }

  /** @throws as `add`; TypeError ERR_INVALID_ARG_TYPE. */
  addSource(sourceText: string, groupText: string, interfaceText: string | undefined): Change {
    requireTexts(sourceText, groupText)
    const { group, link } = placed(CALLS.addSource, groupText, interfaceText)
    const source = address(CALLS.addSource, 'sourceAddress', sourceText)
    return (below) => {
      const known = this.find(group, link)
      if (known !== undefined && known.sources === undefined) {
        throw netError('EINVAL', CALLS.addSource, 'the group has been joined for all sources')
      }
      if (known?.sources?.some((one) => one.equals(source))) {
        throw netError('EADDRNOTAVAIL', CALLS.addSource, 'the group has been joined for this source')
      }
      const sources = [...(known?.sources ?? []), source]
      this.change(CALLS.addSource, () => below.join(group, link, { mode: 'include', sources }))
      if (known === undefined) this.list.push({ group, link, sources })
      else known.sources = sources
    }
  }

  /** @throws as `drop`; TypeError ERR_INVALID_ARG_TYPE. */
  dropSource(sourceText: string, groupText: string, interfaceText: string | undefined): Change {
    requireTexts(sourceText, groupText)
    const { group, link } = placed(CALLS.dropSource, groupText, interfaceText)
    const source = address(CALLS.dropSource, 'sourceAddress', sourceText)
    return (below) => {
      const known = this.find(group, link)
      if (known?.sources === undefined)
        throw netError('EINVAL', CALLS.dropSource, 'the group was not joined for sources')
      const sources = known.sources.filter((one) => !one.equals(source))
      if (sources.length === known.sources.length) {
        throw netError('EADDRNOTAVAIL', CALLS.dropSource, 'the group was not joined for this source')
      }
      if (sources.length === 0) {
        this.leave(below, CALLS.dropSource, known)
        return
      }
      this.change(CALLS.dropSource, () => below.join(group, link, { mode: 'include', sources }))
      known.sources = sources
    }
  }

  /** Sends to groups by this interface. @throws Error EINVAL, ENODEV; TypeError ERR_INVALID_ARG_TYPE */
  via(below: DatagramSocket, interfaceText: string): void {
    requireText('interfaceAddress', interfaceText)
    const link = interfaceOf(CALLS.via, interfaceText)
    this.change(CALLS.via, () => below.sendGroupsBy(link))
  }

  private leave(below: DatagramSocket, call: Call, membership: Membership): void {
    this.change(call, () => below.leave(membership.group, membership.link))
    this.list.splice(this.list.indexOf(membership), 1)
  }

  private find(group: IpAddress, link: string | undefined): Membership | undefined {
    return this.list.find((one) => one.group.equals(group) && one.link === link)
  }

  /** Failures are calls of the system, as in Node. */
  private change(call: Call, work: () => void): void {
    try {
      work()
    } catch (error) {
      throw asCall(error, call)
    }
  }
}

/** Does to a socket, once it is bound, what was asked for before. @param failed told what that threw. */
export function attempt(
  change: (below: DatagramSocket) => void,
  below: DatagramSocket | undefined,
  failed: (error: unknown) => void,
): void {
  try {
    if (below !== undefined) change(below)
  } catch (error) {
    failed(error)
  }
}

function requireText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw invalidArgType(name, 'of type string', value)
}

function requireGroup(value: unknown): void {
  if (!value) throw missingArgs('The "multicastAddress" argument must be specified')
}

function requireTexts(source: unknown, group: unknown): void {
  requireText('sourceAddress', source)
  requireText('groupAddress', group)
}

function placed(call: Call, groupText: string, interfaceText: string | undefined) {
  const group = address(call, 'multicastAddress', groupText)
  if (group.isIpv4 ? group.w3 >>> 28 !== 14 : group.w0 >>> 24 !== 0xff) {
    throw netError('EINVAL', call, `${group} is no group`)
  }
  return { group, link: interfaceOf(call, interfaceText) }
}

function address(call: string, name: string, text: string): IpAddress {
  const found = tryParseAddress(String(text).split('%')[0] ?? '')
  if (found === undefined) throw netError('EINVAL', call, `${name} is no address: '${text}'`)
  return found
}

/**
 * The link Node's argument means: an address of ours on it; of IPv6 the name behind '%'. Undefined where it is left to the routes.
 * @throws Error EINVAL
 */
function interfaceOf(call: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const [, zone] = String(text).split('%')
  if (zone !== undefined && zone !== '') return zone
  return address(call, 'multicastInterface', text).isUnspecified ? undefined : text
}
