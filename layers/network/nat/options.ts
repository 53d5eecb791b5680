/** What network address and port translation is told, checked. */
import type { NatFiltering, NatForward, NatOptions, NatTimeouts } from '../../../src/api/rules.ts'
import { type Prefix, parseAddress, parsePrefix } from '../../../src/kernel/address.ts'
import { type Duration, seconds } from '../../../src/kernel/clock.ts'
import { integer, invalidValue } from '../../../src/kernel/errors.ts'
import { PROTOCOL } from '../service.ts'

/** A forward as the table has it. */
export interface Forward {
  readonly protocol: number
  readonly port: number
  readonly insideAddress: number
  readonly insidePort: number
}

/** Options, checked and with their defaults. */
export interface NatSettings {
  readonly link: string
  readonly inside: readonly Prefix[]
  readonly forwards: readonly Forward[]
  readonly filtering: NatFiltering
  readonly maxSessions: number
  readonly maxSessionsPerHost: number
  readonly reserved: ReadonlySet<number>
  readonly timeouts: Required<{ [Name in keyof NatTimeouts]: Duration }>
}

const FILTERING: readonly NatFiltering[] = ['endpointIndependent', 'address', 'addressAndPort']
const MOST_SESSIONS = 2 ** 20
const YEAR: Duration = seconds(365 * 86_400)

/** @throws TypeError ERR_INVALID_ARG_VALUE, RangeError ERR_OUT_OF_RANGE — see `NatOptions`. */
export function natSettings(options: NatOptions): NatSettings {
  const { link, inside, forwards = [], filtering = 'address', reserved = [], timeouts = {} } = options
  if (typeof link !== 'string' || link === '') throw invalidValue('nat.link', 'the name of a link', link)
  if (!FILTERING.includes(filtering)) throw invalidValue('nat.filtering', `one of ${FILTERING.join(', ')}`, filtering)
  const maxSessions = integer('nat.maxSessions', options.maxSessions ?? 65_536, 1, MOST_SESSIONS)
  const perHost = options.maxSessionsPerHost ?? Math.ceil(maxSessions / 8)
  const time = (name: keyof NatTimeouts, usual: number) =>
    integer(`nat.timeouts.${name}`, timeouts[name] ?? seconds(usual), seconds(1), YEAR)
  const parsed = forwards.map((forward, i) => parseForward(forward, `nat.forwards[${i}]`))
  const ports = new Set(parsed.map(({ protocol, port }) => `${protocol} ${port}`))
  const targets = new Set(parsed.map((forward) => `${forward.protocol} ${forward.insideAddress} ${forward.insidePort}`))
  // What answers from inside gets the one port outside that its own has.
  if (ports.size < parsed.length || targets.size < parsed.length) {
    throw invalidValue(
      'nat.forwards',
      'from different ports to different ports',
      forwards.map(({ protocol, port, to }) => `${protocol} ${port} to ${to}`).join(', '),
    )
  }
  return {
    link,
    inside: (inside ?? ['0.0.0.0/0']).map((text, i) => parseInside(text, `nat.inside[${i}]`)),
    forwards: parsed,
    filtering,
    maxSessions,
    maxSessionsPerHost: integer('nat.maxSessionsPerHost', perHost, 1, MOST_SESSIONS),
    reserved: new Set(reserved.map((port, i) => integer(`nat.reserved[${i}]`, port, 1, 65_535))),
    timeouts: {
      udp: time('udp', 300),
      tcp: time('tcp', 7440),
      tcpTransitory: time('tcpTransitory', 240),
      icmp: time('icmp', 60),
    },
  }
}

function parseInside(text: string, name: string): Prefix {
  const prefix = parsePrefix(text, name)
  if (!prefix.address.isIpv4) throw invalidValue(name, "an IPv4 prefix such as '192.168.0.0/24'", text)
  return prefix
}

function parseForward({ protocol, port, to }: NatForward, name: string): Forward {
  if (protocol !== 'tcp' && protocol !== 'udp') throw invalidValue(`${name}.protocol`, "'tcp' or 'udp'", protocol)
  const [host = '', insidePort, extra] = typeof to === 'string' ? to.split(':') : []
  const address = parseAddress(host, `${name}.to`)
  const inside = insidePort === undefined ? port : /^\d{1,5}$/.test(insidePort) ? Number(insidePort) : 0
  if (!address.isIpv4 || extra !== undefined || inside < 1 || inside > 65_535) {
    throw invalidValue(`${name}.to`, "an IPv4 address with or without a port, such as '192.168.0.5:80'", to)
  }
  return {
    protocol: PROTOCOL[protocol],
    port: integer(`${name}.port`, port, 1, 65_535),
    insideAddress: address.w3,
    insidePort: inside,
  }
}
