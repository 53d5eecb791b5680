/**
 * A medium of octets over any stream of Node's: a TCP or Unix socket, the standard streams of a child process, a pipe.
 * Packets are runs of octets whose limits mean nothing: what is sent in two may arrive in one.
 */
import type { Duplex } from 'node:stream'
import { type Duration, ms, seconds } from '../../../src/kernel/clock.ts'
import type { Env } from '../../../src/kernel/env.ts'
import { inRange, invalidType, invalidValue, NetError } from '../../../src/kernel/errors.ts'
import type { Blueprint } from '../../../src/kernel/layer.ts'
import { Timer } from '../../../src/kernel/timers.ts'
import type { PhysicalService } from '../service.ts'
import { checkOctetPort, checkOctets, OctetPort, type OctetPortOptions, type StreamPair } from './port.ts'

/** A Duplex, or both ways apart, as a child process has them: `{ readable: child.stdout, writable: child.stdin }`. */
export type OctetStream = Duplex | StreamPair

export interface StreamOptions extends OctetPortOptions {
  /**
   * When a stream has ended, another is made so much later, and again where that fails: 10 ms to an hour. `source` has to be a
   * function then. Default: the link is down for good.
   */
  readonly reopen?: Duration
  /** Booting waits for the first stream, and fails with it; only with `reopen` it need not. Default true. */
  readonly wait?: boolean
}

/**
 * A stream as the lowest layer of a stack: `stack(stream(() => connect(7000)), ppp(), …)`. Boots on real time. The stream
 * belongs to the node, which ends it when it closes; the link goes down when the stream does.
 * @param source the stream, which boots one node, or what makes one for each node; booting waits for its promise.
 * @throws TypeError ERR_INVALID_ARG_TYPE — neither; ERR_INVALID_ARG_VALUE — not a stream of octets, or `reopen` of one.
 * @throws RangeError ERR_OUT_OF_RANGE — an option outside its range.
 */
export function stream(
  source: OctetStream | (() => OctetStream | Promise<OctetStream>),
  options: StreamOptions = {},
): Blueprint<PhysicalService<'octets'>> {
  checkOctetPort(options)
  const { reopen, wait = true } = options
  if (reopen !== undefined) {
    inRange('reopen', reopen, ms(10), seconds(3600))
    if (typeof source !== 'function') throw invalidValue('reopen', 'for a function that makes streams', reopen)
    return (env) => {
      const port = new OctetPort(env, 'stream', options)
      const opener = new Opener(env, port, source, reopen)
      if (wait) env.starting(opener.first())
      else opener.open()
      return port
    }
  }
  if (typeof source === 'function') return (env) => opened(env, source, options)
  const pair = pairOf(source)
  let taken = false
  return (env) => {
    if (taken) throw new NetError('EBUSY', 'this stream is in a node already: it boots one', { layer: 'stream' })
    taken = true
    const port = new OctetPort(env, 'stream', options)
    port.adopt(pair, 'the stream is open')
    return port
  }
}

function opened(
  env: Env,
  source: () => OctetStream | Promise<OctetStream>,
  options: OctetPortOptions,
): PhysicalService<'octets'> {
  const port = new OctetPort(env, 'stream', options)
  const opening = Promise.resolve(source()).then((made) => port.adopt(pairOf(made), 'the stream is open'))
  env.starting(opening)
  return port
}

/** Sees that a port has a stream, again and again. */
class Opener {
  private readonly env: Env
  private readonly port: OctetPort
  private readonly source: () => OctetStream | Promise<OctetStream>
  private readonly pause: Duration
  private readonly timer: Timer
  private opening = false
  private closed = false

  constructor(env: Env, port: OctetPort, source: () => OctetStream | Promise<OctetStream>, pause: Duration) {
    this.env = env
    this.port = port
    this.source = source
    this.pause = pause
    this.timer = new Timer({ expire: () => this.open() })
    env.defer(() => {
      this.closed = true
      env.timers.cancel(this.timer)
    })
  }

  /** Opens the first stream. A promise that is rejected fails the boot. */
  async first(): Promise<void> {
    this.opened(pairOf(await this.source()))
  }

  /** Opens a stream, now or later. */
  open(): void {
    // Whoever has attached meanwhile does not know yet.
    if (this.opening) {
      this.port.boundary.linkChanged('down', 'the stream is not open yet')
      return
    }
    this.opening = true
    this.later()
    Promise.resolve()
      .then(this.source)
      .then(pairOf)
      .then(
        (pair) => this.opened(pair),
        (error: unknown) => this.failed(error instanceof Error ? error.message : String(error)),
      )
  }

  private opened(pair: StreamPair): void {
    this.opening = false
    this.env.timers.cancel(this.timer)
    this.port.adopt(pair, 'the stream is open', () => this.later())
  }

  private failed(reason: string): void {
    this.opening = false
    if (this.closed) return
    this.port.boundary.linkChanged('down', reason)
    this.later()
  }

  private later(): void {
    if (!this.closed) this.env.timers.arm(this.timer, this.env.clock.now() + this.pause)
  }
}

function pairOf(source: OctetStream): StreamPair {
  const pair = isPair(source) ? source : { readable: source, writable: source }
  if (typeof pair.readable?.read !== 'function' || typeof pair.writable?.write !== 'function') {
    throw invalidType('source', 'a Duplex, or an object of a readable and a writable', source)
  }
  checkOctets(pair)
  return pair
}

/** A stream of Node's has properties of these names, too: there they are booleans. */
const isPair = (source: OctetStream): source is StreamPair => typeof source?.readable === 'object'
