/**
 * What a reporter says, as IGMP and MLD write it: records behind a header of eight octets, or, to older routers, one group behind
 * a shorter one.
 */
import type { IpAddress } from '../../../src/kernel/address.ts'
import { type AddressOctets, payloads, writeAddress } from './records.ts'
import type { Report } from './reporter.ts'

/** What differs between the two protocols. */
export interface ReportForm {
  readonly types: {
    readonly reports: number
    /** By generation. */
    readonly member: Readonly<Record<1 | 2, number>>
    readonly leave: number
  }
  readonly addressOctets: AddressOctets
  /** Where the group is in a message to older routers. */
  readonly groupAt: number
}

/** A message to send: its octets with no checksum yet, and whether to its group, to all routers, or to those that read reports. */
export interface ReportToSend {
  readonly octets: Uint8Array
  readonly to: 'group' | 'routers' | 'reports'
  readonly group: IpAddress | undefined
}

const HEADER_OCTETS = 8
/** The number of records ends the header, and begins what `payloads` makes. */
const RECORDS_AT = 6

/** @param most octets of one message. */
export function encodeReport(report: Report, most: number, form: ReportForm): ReportToSend[] {
  const { types, addressOctets } = form
  switch (report.kind) {
    case 'records':
      return payloads(report.records, addressOctets, most - HEADER_OCTETS).map((payload) => {
        const octets = new Uint8Array(RECORDS_AT + payload.length)
        octets[0] = types.reports
        octets.set(payload, RECORDS_AT)
        return { octets, to: 'reports', group: undefined }
      })
    case 'member':
      return [
        { octets: ofGroup(types.member[report.generation], report.group, form), to: 'group', group: report.group },
      ]
    case 'leave':
      return [{ octets: ofGroup(types.leave, report.group, form), to: 'routers', group: report.group }]
  }
}

function ofGroup(type: number, group: IpAddress, { groupAt, addressOctets }: ReportForm): Uint8Array {
  const octets = new Uint8Array(groupAt + addressOctets)
  octets[0] = type
  writeAddress(new DataView(octets.buffer), groupAt, group, addressOctets)
  return octets
}
