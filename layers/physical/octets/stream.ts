/**
 * A medium of octets over any stream of Node's: a TCP or Unix socket, the standard streams of a child process, a pipe.
 * Packets are runs of octets whose limits mean nothing: what is sent in two may arrive in one.
 */
import type { Duplex } from 'node:stream'
import type { Env } from '../../../src/kernel/env.ts'
import { invalidType, NetError } from '../../../src/kernel/errors.ts'
import type { Blueprint } from '../../../src/kernel/layer.ts'
import type { PhysicalService } from '../service.ts'
import { checkOctetPort, checkOctets, OctetPort, type OctetPortOptions, type StreamPair } from './port.ts'

/** A Duplex, or both ways apart, as a child process has them: `{ readable: child.stdout, writable: child.stdin }`. */
export type OctetStream = Duplex | StreamPair

/**
 * A stream as the lowest layer of a stack: `stack(stream(() => connect(7000)), ppp(), …)`. Boots on real time. The stream
 * belongs to the node, which ends it when it closes; the link goes down, for good, when the stream does.
 * @param source the stream, which boots one node, or what makes one for each node; booting waits for its promise.
 * @throws TypeError ERR_INVALID_ARG_TYPE — neither; ERR_INVALID_ARG_VALUE — not a stream of octets.
 * @throws RangeError ERR_OUT_OF_RANGE — an option outside its range.
 */
export function stream(
  source: OctetStream | (() => OctetStream | Promise<OctetStream>),
  options: OctetPortOptions = {},
): Blueprint<PhysicalService<'octets'>> {
  checkOctetPort(options)
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
