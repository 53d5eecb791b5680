/** `node.icmp`: echo requests with promises. */
import { integer, NetError } from '../../kernel/errors.ts'
import { Timer } from '../../kernel/timers.ts'
import type { EchoReply, IcmpSockets } from '../sockets.ts'
import type { ApiHost } from './context.ts'
import { asCall, invalidArgType, netError, requireNumber, requireSignal } from './errors.ts'
import { asNames, type Hosts, type Names, textOf } from './names.ts'
import { settle } from './promises.ts'

const LARGEST_PAYLOAD = 65_507
const DEFAULT_TIMEOUT_MS = 5000

export interface PingOptions {
  /** Octets of payload, 0 to 65507. Default 56. */
  readonly size?: number | undefined
  /** 1 to 255. Default 64. */
  readonly ttl?: number | undefined
  readonly dontFragment?: boolean | undefined
  /** Milliseconds to wait, by the node's clock. Default 5000. */
  readonly timeout?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Icmp {
  /**
   * Sends one echo request. An error that a router or host sends instead of the reply is an answer too: see `outcome`.
   * @param host an address such as '10.0.0.1', 'fd00::1' or 'fe80::1%eth0', or a name the node knows.
   * @throws NetError ETIMEDOUT — no answer; ENOTFOUND, ENETUNREACH, EMSGSIZE. AbortError — given up.
   * @throws TypeError ERR_INVALID_ARG_TYPE. RangeError ERR_OUT_OF_RANGE
   */
  ping(host: string, options?: PingOptions): Promise<EchoReply>
}

/**
 * @param below what sends echo requests.
 * @param host the clock, timers and holds of the node.
 * @param hosts names the node knows.
 */
export function createIcmp(below: IcmpSockets, host: ApiHost, hosts: Hosts | Names = {}): Icmp {
  const names = asNames(hosts)
  return {
    ping(target, options = {}) {
      if (typeof target !== 'string') throw invalidArgType('host', 'of type string', target)
      check(options)
      return ping(below, host, names, target, options)
    },
  }
}

function check({ size, ttl, timeout, signal }: PingOptions): void {
  if (size !== undefined) integer('options.size', size, 0, LARGEST_PAYLOAD)
  if (ttl !== undefined) integer('options.ttl', ttl, 1, 255)
  if (timeout !== undefined) requireNumber(timeout, 'options.timeout')
  if (signal !== undefined) requireSignal(signal, 'options.signal')
}

function ping(
  below: IcmpSockets,
  host: ApiHost,
  names: Names,
  target: string,
  { size, ttl, dontFragment, timeout = DEFAULT_TIMEOUT_MS, signal }: PingOptions,
): Promise<EchoReply> {
  return settle(signal, (resolve, reject) => {
    host.touched()
    const found = names.resolve(target, 0)
    if (NetError.is(found)) {
      reject(found)
      return () => {}
    }
    const { address } = found
    const link = found.zone || undefined
    const place = { address: textOf(found) }
    let stop = (): void => {}
    const release = host.hold()
    const late = {
      expire: () => {
        host.touched()
        end()
        reject(netError('ETIMEDOUT', 'ping', `no answer within ${timeout} ms`, place))
      },
    }
    const timer = new Timer(late)
    const end = (): void => {
      host.timers.cancel(timer)
      stop()
      release()
    }
    try {
      stop = below.icmp.echo({ address, link, size, ttl, dontFragment }, (reply) => {
        host.touched()
        end()
        resolve(reply)
      })
      host.timers.arm(timer, host.clock.now() + Math.max(0, Math.round(timeout * 1000)))
    } catch (error) {
      end()
      reject(asCall(error, 'ping', place))
    }
    return end
  })
}
