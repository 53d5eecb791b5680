/**
 * Several addresses of one name, tried one after the other until one answers: what Node makes of Happy Eyeballs (RFC 8305).
 * The families take turns, beginning with that of the first address. An attempt that has not come to anything when its
 * time is up is given up for the next one; the last one has all the time that TCP gives it.
 */
import type { NetError } from '../../kernel/errors.ts'
import { type Expiring, Timer } from '../../kernel/timers.ts'
import type { Connection, ConnectionHandler } from '../sockets.ts'
import { refusal } from './block-list.ts'
import { attempt, type Dialling, placeOfAttempt } from './dial.ts'
import { asCall, coded, netError } from './errors.ts'
import { UNHEARD } from './lingering.ts'
import { type Found, familyOf, textOf } from './names.ts'

export class Attempts implements ConnectionHandler, Expiring {
  private readonly call: Dialling
  private readonly found: readonly Found[]
  private readonly errors: Error[] = []
  private readonly timer = new Timer(this)
  private readonly attempted: string[] = []
  private current = -1
  private connection: Connection | undefined

  /** @param found the addresses, in the order of the name. */
  constructor(call: Dialling, found: readonly Found[]) {
    this.call = call
    this.found = alternating(found)
    call.socket.autoSelectFamilyAttemptedAddresses = this.attempted
  }

  /** Tries the next address; after the last, the socket fails with all errors. */
  next(): void {
    const { call, found } = this
    const { channel, socket, context, plan } = call
    this.connection = undefined
    while (channel.connecting) {
      const place = found[++this.current]
      if (place === undefined) {
        socket.destroy(aggregate(this.errors))
        return
      }
      this.attempted.push(`${textOf(place)}:${plan.port}`)
      const refused = refusal(socket.blockList, place)
      const failure = refused === undefined ? attempt(call, place, this) : { error: refused }
      if (failure === undefined) {
        this.connection = channel.below
        const isLast = this.current === found.length - 1
        if (!isLast && channel.connecting) {
          context.host.timers.arm(this.timer, context.host.clock.now() + plan.attemptTimeout * 1000)
        }
        return
      }
      this.failed(failure.error)
    }
  }

  established(connection: Connection): void {
    const { context, handler } = this.call
    context.host.timers.cancel(this.timer)
    connection.handler = handler
    handler.established(connection)
  }

  closed(connection: Connection, error: NetError | null): void {
    const { context, handler, plan } = this.call
    context.host.timers.cancel(this.timer)
    if (error === null || error.code === 'ECONNABORTED') {
      handler.closed(connection, error)
      return
    }
    context.host.touched()
    const failure = asCall(error, 'connect', placeOfAttempt(this.place, plan))
    handler.run(() => this.failed(failure), undefined, undefined)
    handler.run(() => this.next(), undefined, undefined)
  }

  /** The time of the attempt is up. Called by the timer. */
  expire(): void {
    const { channel, context, handler } = this.call
    const { connection } = this
    // It was destroyed, and may be connecting anew.
    if (connection === undefined || !channel.connecting || channel.below !== connection) return
    context.host.touched()
    connection.handler = UNHEARD
    connection.abort()
    handler.run(() => this.timedOut(), undefined, undefined)
    handler.run(() => this.next(), undefined, undefined)
  }

  private get place(): Found {
    return this.found[this.current] as Found
  }

  private timedOut(): void {
    const { socket, plan } = this.call
    const { address, port } = placeOfAttempt(this.place, plan)
    this.errors.push(netError('ETIMEDOUT', 'connect', `no answer within ${plan.attemptTimeout} ms`, { address, port }))
    socket.emit('connectionAttemptTimeout', address, port, familyOf(this.place))
  }

  private failed(error: Error): void {
    const { socket, plan } = this.call
    const { address, port } = placeOfAttempt(this.place, plan)
    this.errors.push(error)
    socket.emit('connectionAttemptFailed', address, port, familyOf(this.place), error)
  }
}

/** Each address once, the families in turn, that of the first one first. */
function alternating(found: readonly Found[]): Found[] {
  const once = [...new Map(found.map((one) => [textOf(one), one])).values()]
  const first = familyOf(once[0] as Found)
  const preferred = once.filter((one) => familyOf(one) === first)
  const others = once.filter((one) => familyOf(one) !== first)
  const length = Math.max(preferred.length, others.length)
  return Array.from({ length }, (_, i) => [preferred[i], others[i]])
    .flat()
    .filter((one) => one !== undefined)
}

/** As Node's: the errors of all attempts, and the code of the first. */
function aggregate(errors: readonly Error[]): Error {
  const [first] = errors
  return coded(new AggregateError(errors), (first as NodeJS.ErrnoException | undefined)?.code ?? 'ETIMEDOUT')
}
