/** Ends of connections and datagrams as Node shows them. */
import { formatScoped, IpAddress } from '../../kernel/address.ts'
import type { Endpoint } from '../sockets.ts'

/** One end as text and number, as Node shows it. */
export interface Place {
  readonly address: string
  readonly family: 'IPv4' | 'IPv6'
  readonly port: number
}

/** Where a call failed, for its error. */
export interface Where {
  readonly address?: string | undefined
  /** 0 is none, as in Node. */
  readonly port?: number | undefined
  /** Our own end, where a connection was asked to come from a certain port. */
  readonly local?: Omit<Place, 'family'> | undefined
}

/** Where a connection is to lead. */
export interface Dialled extends Where {
  readonly address: string
  readonly port: number
}

/** @returns an endpoint in Node's form. @param mapped show an IPv4 address as one of IPv6: '::ffff:10.0.0.1'. */
export function placeOf({ address, port, zone = '' }: Endpoint, mapped = false): Place {
  if (!address.isIpv4) return { address: formatScoped(address, zone), family: 'IPv6', port }
  if (mapped) return { address: `::ffff:${address}`, family: 'IPv6', port }
  return { address: address.toString(), family: 'IPv4', port }
}

/** The address of a peer as Node shows it. Peers repeat themselves: the text of the last one is kept. */
export class PeerText {
  readonly #address: IpAddress = new IpAddress()
  #zone = ''
  #text = ''

  /** @param mapped as of `placeOf`; the same with each call. */
  of(peer: Endpoint, mapped: boolean): string {
    const { address, zone = '' } = peer
    if (this.#text === '' || !this.#address.equals(address) || this.#zone !== zone) {
      this.#address.set(address)
      this.#zone = zone
      this.#text = placeOf(peer, mapped).address
    }
    return this.#text
  }
}
