/** Writes records that were read from elsewhere: a capture of captures. */
import { enhancedPacketAt, interfaceDescription, sectionHeader } from './pcapng.ts'
import type { CaptureRecord } from './reader.ts'

export class CaptureWriter {
  private readonly write: (octets: Uint8Array) => void
  private readonly interfaces = new Map<string, number>()

  /** @param write takes the octets of the file, in order. */
  constructor(write: (octets: Uint8Array) => void) {
    this.write = write
    write(sectionHeader('netstrata'))
  }

  /** Interfaces are told apart by name, link type and FCS. */
  packet(record: CaptureRecord): void {
    const { name, linkType, fcsOctets } = record.interface
    const key = `${linkType} ${fcsOctets} ${name}`
    let id = this.interfaces.get(key)
    if (id === undefined) {
      id = this.interfaces.size
      this.interfaces.set(key, id)
      this.write(interfaceDescription(record.interface))
    }
    this.write(enhancedPacketAt(id, record, record.octets, record.direction, record.comments, record.wireLength))
  }
}
