/** The figures of a connection as lines for people, as `ss -ti` has them. */
import type { ConnectionInfo } from '../../src/index.ts'

/** Beyond it slow start has no end (RFC 7323 §2.3). */
const LARGEST_WINDOW = 0x3fff_c000

/** @returns lines of at most 70 columns. */
export function figureLines(info: ConnectionInfo): string[] {
  const agreed = [
    info.timestamps && 'timestamps',
    info.selectiveAcks && 'sack',
    info.windowScaling && 'wscale',
    info.ecn && 'ecn',
    info.synDataAccepted && 'data in the SYN',
    info.userTimeout > 0 && `a user timeout of ${milliseconds(info.userTimeout)} ms`,
  ].filter((name) => name !== false)
  const threshold = info.ssthresh < LARGEST_WINDOW ? size(info.ssthresh) : 'none yet'
  return [
    `${info.congestionControl} (${info.congestionState}), cwnd ${size(info.cwnd)}, ssthresh ${threshold}`,
    `mss ${info.maxSegment}, path mtu ${info.pathMtu}${info.mtuProbes > 0 ? ` (${info.mtuProbes} probes)` : ''}`,
    `rtt ${milliseconds(info.srtt)} ± ${milliseconds(info.rttvar)}, least ${milliseconds(info.minRtt)}, rto ${milliseconds(info.rto)} ms`,
    `in flight ${size(info.flightSize)}, lost ${size(info.lost)}, sent again ${info.retransmits}, reordering ${info.reordering}`,
    `windows ${size(info.sndWnd)} out, ${size(info.rcvWnd)} in`,
    `delivers ${size(info.deliveryRate)}/s, ${info.pacingRate === 0 ? 'not paced' : `paced at ${size(info.pacingRate)}/s`}`,
    `${size(info.octetsSent)} in ${info.segmentsSent} out, ${size(info.octetsReceived)} in ${info.segmentsReceived} in`,
    ...(agreed.length > 0 ? [`with ${agreed.join(', ')}`] : []),
  ]
}

const milliseconds = (duration: number): string => String(Number((duration / 1000).toPrecision(3)))

/** Octets with a decimal prefix: '1.25 MB'. */
export function size(octets: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = octets < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(octets) / 3))
  return `${Number((octets / 1000 ** power).toPrecision(3))} ${units[power]}`
}
