/**
 * What the dump tool knows of a packet: a list of layers, outermost first, each with its fields and where they stand.
 * One model for every rendering: the line, the tree, the hex dump, JSON.
 */
import { IpAddress } from '../../src/kernel/address.ts'
import type { Flows } from './flows.ts'

export interface Field {
  /** The standard's name of the field, in words. */
  readonly name: string
  readonly value: string | number
  /** Where it stands, in octets from the start of the packet. */
  readonly offset: number
  readonly octets: number
}

export interface DumpLayer {
  /** 'Ethernet', 'IPv4', 'TCP', … */
  readonly protocol: string
  readonly offset: number
  readonly octets: number
  readonly fields: readonly Field[]
  /** What the one-line form says of this layer. */
  readonly summary: string
  /** What is wrong with it: a bad checksum, a length that does not fit. Empty when all is well. */
  readonly faults: readonly string[]
}

/** Says where a decoder is: which octets are its, and what the layers around have found out. */
export interface Scope {
  readonly octets: Uint8Array
  readonly view: DataView
  readonly start: number
  readonly end: number
  /** Addresses of the enclosing network header, for pseudo-headers. */
  readonly source?: IpAddress
  readonly destination?: IpAddress
  /** Connections seen so far, for relative sequence numbers; undefined: show them as they are. */
  readonly flows?: Flows | undefined
  /** True when the packet was cut: lengths and checksums that reach beyond it say nothing. */
  readonly cut?: boolean
}

/** What a decoder found: its layer, and what follows, if anything. */
export interface Decoded {
  readonly layer: DumpLayer
  readonly next?: { readonly protocol: Decoder; readonly scope: Scope }
}

/** Never throws: a header that does not fit becomes a layer with a fault. */
export type Decoder = (scope: Scope) => Decoded

/** Gathers the fields of one header; `at` are octets from its start. */
export class Fields {
  readonly list: Field[] = []
  private readonly scope: Scope

  constructor(scope: Scope) {
    this.scope = scope
  }

  u8(name: string, at: number, show: (value: number) => string | number = (value) => value): number {
    const value = this.scope.view.getUint8(this.scope.start + at)
    this.add(name, show(value), at, 1)
    return value
  }

  u16(name: string, at: number, show: (value: number) => string | number = (value) => value): number {
    const value = this.scope.view.getUint16(this.scope.start + at)
    this.add(name, show(value), at, 2)
    return value
  }

  u32(name: string, at: number, show: (value: number) => string | number = (value) => value): number {
    const value = this.scope.view.getUint32(this.scope.start + at)
    this.add(name, show(value), at, 4)
    return value
  }

  /** An IPv6 address. */
  address(name: string, at: number): IpAddress {
    const value = this.addressAt(at)
    this.add(name, value.toString(), at, 16)
    return value
  }

  /** The IPv6 address at an offset, which becomes no field. */
  addressAt(at: number): IpAddress {
    const { view, start } = this.scope
    const word = (i: number): number => view.getInt32(start + at + 4 * i)
    return new IpAddress(word(0), word(1), word(2), word(3))
  }

  add(name: string, value: string | number, at: number, octets: number): void {
    this.list.push({ name, value, offset: this.scope.start + at, octets })
  }
}

/** A layer that is too short for its header. */
export function truncated(protocol: string, scope: Scope, needed: number): Decoded {
  const octets = scope.end - scope.start
  return {
    layer: {
      protocol,
      offset: scope.start,
      octets,
      fields: [],
      summary: `${protocol} truncated`,
      faults: [`${octets} octets, ${needed} needed`],
    },
  }
}

/** Octets that no decoder claims. */
export const data: Decoder = (scope) => {
  const octets = scope.end - scope.start
  const layer = { protocol: 'Data', offset: scope.start, octets, fields: [], summary: `${octets} octets`, faults: [] }
  return { layer }
}

export const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`
