/**
 * A stand for Neighbour Discovery: nodes on one segment, each with nothing but discovery on a link double, and a log of what
 * it sent and what it was told. Where the family puts an IPv6 header, here both addresses stand in front of a message.
 */
import { ETHERTYPE, type LinkAddressing } from '../../../../../layers/datalink/service.ts'
import { isMulticast, UNSPECIFIED } from '../../../../../layers/network/ipv6/address-kinds.ts'
import {
  type AdvertiseOptions,
  DISCOVERY_TYPE,
  type Discovery,
  type DiscoveryOptions,
  type DiscoveryOwner,
} from '../../../../../layers/network/ipv6/discovery.ts'
import { readAddress, writeAddress } from '../../../../../layers/network/ipv6/header.ts'
import * as message from '../../../../../layers/network/ipv6/nd/message.ts'
import { neighbourDiscovery } from '../../../../../layers/network/ipv6/nd/neighbour-discovery.ts'
import { UNRESOLVED } from '../../../../../layers/network/neighbours.ts'
import { IpAddress, parseAddress } from '../../../../../src/kernel/address.ts'
import type { Env } from '../../../../../src/kernel/env.ts'
import type { Packet } from '../../../../../src/kernel/packet.ts'
import type { Simulation } from '../../../../../src/runtime/simulation.ts'
import { BROADCAST, type Segment, StationLink } from '../../arp-link.ts'

/** The protocol of messages with their two addresses in front. */
const MESSAGE = 0x86de
const ADDRESSES_OCTETS = 32

export interface StationOptions extends DiscoveryOptions {
  readonly forwarding?: boolean
  readonly advertise?: AdvertiseOptions
}

export interface Station {
  readonly link: StationLink
  readonly discovery: Discovery
  /** What it sent, and what its owner was told: '1000 …', in milliseconds. */
  readonly sent: string[]
  readonly told: string[]
  /** First octets of the data that arrived. */
  readonly got: number[]
  readonly reasons: Record<string, number>
  readonly groups: Map<string, number>
  /** Sends data to a neighbour, as the family does. */
  send(to: string, first: number): void
  claim(address: string, length?: number): boolean
  /** Hands it a message that nobody of the segment sent. @returns why it was of no use. */
  hear(octets: readonly number[] | Uint8Array, source: string, destination: string): string | undefined
  close(): Promise<void>
}

/** Boots station `n`: its link address ends in `n`, its name is the n-th letter. */
export function station(sim: Simulation, segment: Segment, n: number, options: StationOptions = {}): Station {
  const sent: string[] = []
  const told: string[] = []
  const got: number[] = []
  const reasons: Record<string, number> = {}
  const groups = new Map<string, number>()
  const source = new IpAddress()
  const destination = new IpAddress()
  const node = sim.boot(String.fromCharCode(64 + n), (env: Env) => {
    const link = new StationLink(segment, env, 0x0200_0000_0000 + n)
    const at = (text: string) => `${Math.round(env.clock.now() / 1000)} ${text}`
    const tell = (text: string) => void told.push(at(text))
    const to: LinkAddressing = { peer: 0, protocol: MESSAGE, cast: 'unicast' }
    const owner: DiscoveryOwner = {
      transmit(packet, from, whom, peer) {
        sent.push(at(show(packet, from, whom, peer)))
        packet.push(ADDRESSES_OCTETS)
        writeAddress(packet.view, packet.start, from)
        writeAddress(packet.view, packet.start + 16, whom)
        const resolved = peer !== UNRESOLVED ? peer : isMulticast(whom) ? BROADCAST : discovery.resolve(whom, packet)
        to.peer = resolved
        if (resolved !== UNRESOLVED) link.send(packet, to)
      },
      join: (group) => void groups.set(`${group}`, (groups.get(`${group}`) ?? 0) + 1),
      leave: (group) => void groups.set(`${group}`, (groups.get(`${group}`) ?? 0) - 1),
      undeliverable(packet, nextHop) {
        tell(`undeliverable ${packet.view.getUint8(packet.start)} to ${nextHop}`)
        packet.release()
      },
      discard(packet, reason) {
        reasons[reason] = (reasons[reason] ?? 0) + 1
        packet.release()
      },
      claimed: (address) => tell(`claimed ${address}`),
      conflict: (address, peer, lost) => tell(`conflict ${address} with ${peer & 255}, ${lost ? 'lost' : 'kept'}`),
      autoconfigured(address, length) {
        tell(`address ${address}/${length}`)
        discovery.claim(address, length)
      },
      deprecated: (address, deprecated) => tell(`${deprecated ? 'deprecated' : 'preferred'} ${address}`),
      expired(address) {
        tell(`expired ${address}`)
        discovery.renounce(address)
      },
      learnRoute: (prefix, length, via, preference) => tell(`route ${prefix}/${length} via ${via} ${preference}`),
      forgetRoute: (prefix, length, via) => tell(`no route ${prefix}/${length} via ${via}`),
      isFirstHop: (_, router) => `${router}` === 'fe80::9',
      learnMtu: (mtu) => tell(`mtu ${mtu}`),
      learnHopLimit: (hopLimit) => tell(`hop limit ${hopLimit}`),
      learnNames: (servers, domains) => tell(`names ${servers.join(' ')} in ${domains.join(' ')}`),
    }
    const discovery = neighbourDiscovery(link, env, owner, options, options.forwarding ?? false, options.advertise)
    link.boundary.attach({ receive }, MESSAGE)
    link.boundary.attach({ receive: receiveData, linkChanged: (state) => discovery.linkChanged(state) }, ETHERTYPE.ipv6)
    env.defer(() => discovery.close())

    function receive(packet: Packet): void {
      readAddress(packet.view, packet.start, source)
      readAddress(packet.view, packet.start + 16, destination)
      packet.pull(ADDRESSES_OCTETS)
      const group = isMulticast(destination)
      if (!group || `${destination}` === 'ff02::1' || (groups.get(`${destination}`) ?? 0) > 0) take(packet)
      packet.release()
    }
    function take(packet: Packet): string | undefined {
      const reason = discovery.receive(packet, source, destination)
      if (reason !== undefined) reasons[reason] = (reasons[reason] ?? 0) + 1
      return reason
    }
    function receiveData(packet: Packet): void {
      got.push(packet.view.getUint8(packet.start))
      packet.release()
    }
    return { env, link, discovery, take }
  })
  const { env, link, discovery, take } = node.top
  const to: LinkAddressing = { peer: 0, protocol: ETHERTYPE.ipv6, cast: 'unicast' }
  return {
    link,
    discovery,
    sent,
    told,
    got,
    reasons,
    groups,
    send(target, first) {
      const packet = env.packet(16, 104)
      packet.view.setUint8(packet.put(100), first)
      to.peer = discovery.resolve(parseAddress(target), packet)
      if (to.peer !== UNRESOLVED) link.send(packet, to)
    },
    claim: (address, length = 64) => discovery.claim(parseAddress(address), length),
    hear(octets, from, whom) {
      const packet = env.packet(0, octets.length)
      packet.append(Uint8Array.from(octets))
      source.set(parseAddress(from))
      destination.set(parseAddress(whom))
      const reason = take(packet)
      packet.release()
      return reason
    },
    close: () => node.close(),
  }
}

const target = UNSPECIFIED.clone()

/** A message as text: 'NS for fe80::2: fe80::1 > ff02::1:ff00:2'. */
function show(packet: Packet, from: IpAddress, to: IpAddress, peer: number): string {
  const { view, start, end } = packet
  const way = `${from} > ${to}${peer === UNRESOLVED ? '' : ` at ${peer % 256}`}`
  const fault = message.fault(packet)
  if (fault !== undefined) return `${fault}: ${way}`
  const type = view.getUint8(start)
  if (type === DISCOVERY_TYPE.routerSolicitation) return `RS: ${way}`
  if (type === DISCOVERY_TYPE.routerAdvertisement) {
    return `RA of ${message.routerLifetime(view, start)} s, ${end - start} octets: ${way}`
  }
  const what = `${message.target(view, start, target)}: ${way}`
  if (type === DISCOVERY_TYPE.neighbourSolicitation) return `NS for ${what}`
  const flags = [
    message.isRouter(view, start) ? 'R' : '',
    message.isSolicited(view, start) ? 'S' : '',
    message.isOverride(view, start) ? 'O' : '',
  ]
  return `NA ${flags.join('')} for ${what}`
}
