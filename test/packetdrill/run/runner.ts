/**
 * Runs a script: event after event, at their times.
 *
 * As in the original, relative times count from the moment the event before is done with, and packets that are expected
 * are looked at in the order they were sent, whenever that was: their times are compared then. What was sent and never
 * asked for is no failure unless something else is expected instead.
 */
import type { Connection, Duration } from '../../../src/index.ts'
import { Failure } from '../failure.ts'
import type { IpVersion } from '../language/ip-version.ts'
import { parseScript } from '../language/parser.ts'
import type { Event, Script } from '../language/script.ts'
import { type CallListener, Calls } from '../linux/calls.ts'
import { runShell } from '../linux/shell.ts'
import type { LinuxSocket } from '../linux/socket.ts'
import { Sysctls } from '../linux/sysctl.ts'
import { formatBody } from '../wire/text.ts'
import { Arrivals } from './arrivals.ts'
import { CallEvents } from './call-events.ts'
import { type Config, configOf } from './config.ts'
import { Conversations } from './conversations.ts'
import { Departures, type Time } from './departures.ts'
import { seconds } from './format.ts'
import { NodeUnderTest } from './node.ts'
import { Outbox } from './outbox.ts'
import { Snippets } from './snippets.ts'
import { Trace } from './trace.ts'

export interface Verdict {
  readonly ok: boolean
  /** Why not; one line, with the script's line number. Empty when it passes. */
  readonly why: string
  /** What happened before it failed, several lines. */
  readonly trace: string
}

export interface RunOptions {
  /** Do not compare PSH. Default false. */
  readonly ignorePsh?: boolean | undefined
  /** For scripts that do not say over which IP they run; the MTU, if they do not say it either. Default IPv4, 1500. */
  readonly otherwise?: Otherwise | undefined
  /** For scripts that do not say it, whatever `otherwise` has. */
  readonly mtu?: number | undefined
}

export interface Otherwise {
  readonly ipVersion: IpVersion
  readonly mtu?: number
}

/** Runs the text of a script. It never throws: what goes wrong is the verdict. */
export async function runScript(text: string, options: RunOptions = {}): Promise<Verdict> {
  const trace = new Trace()
  try {
    await execute(parseScript(text, options.otherwise?.ipVersion), options, trace)
    return { ok: true, why: '', trace: '' }
  } catch (error) {
    return { ok: false, why: reason(error), trace: trace.toString() }
  }
}

function reason(error: unknown): string {
  if (error instanceof Failure) return error.line > 0 ? `line ${error.line}: ${error.message}` : error.message
  const [what, where = ''] = error instanceof Error ? (error.stack ?? error.message).split('\n') : [String(error)]
  return `the stack threw: ${what} ${where.trim()}`
}

async function execute(script: Script, options: RunOptions, trace: Trace): Promise<void> {
  const config = configOf(script, options.otherwise?.mtu, options.mtu)
  const sysctls = new Sysctls()
  const first = script.events.findIndex(({ action }) => action.kind !== 'shell')
  for (const { action, line } of script.events.slice(0, Math.max(first, 0))) {
    if (action.kind === 'shell') runShell(action.text, line, sysctls)
  }
  const node = new NodeUnderTest(config, sysctls.options)
  sysctls.follow((changes) => node.set(changes))
  try {
    await node.start()
    await new Run(node, config, sysctls, options, trace).run(script.events.slice(first))
  } finally {
    await node.close()
  }
}

class Run implements CallListener, Time {
  private readonly node: NodeUnderTest
  private readonly config: Config
  private readonly sysctls: Sysctls
  private readonly trace: Trace
  private readonly conversations: Conversations
  private readonly outbox: Outbox
  private readonly arrivals: Arrivals
  private readonly departures: Departures
  private readonly calls: CallEvents
  private readonly snippets: Snippets
  /** The socket that snippets ask about. */
  private underTest: LinuxSocket | undefined

  constructor(node: NodeUnderTest, config: Config, sysctls: Sysctls, options: RunOptions, trace: Trace) {
    const { bindPort, connectPort, timestampUs, toleranceUs, strictSegments } = config
    this.node = node
    this.config = config
    this.sysctls = sysctls
    this.trace = trace
    this.conversations = new Conversations(bindPort)
    this.outbox = new Outbox(node.link.sent, (instant) => node.since(instant))
    this.arrivals = new Arrivals(node, this.conversations, this.outbox, config)
    const timestampTolerance = timestampUs === 0 ? undefined : toleranceUs / timestampUs
    const comparison = { ignorePsh: options.ignorePsh ?? false, timestampTolerance }
    this.departures = new Departures(this, this.outbox, this.conversations, comparison, strictSegments, trace)
    const place = {
      remote: node.remote,
      bindPort,
      connectPort,
      get fastOpen() {
        return sysctls.fastOpen
      },
    }
    const timing = {
      toleranceUs,
      now: () => node.now(),
      after: (duration: Duration, action: () => void) => node.after(duration, action),
    }
    const calls = new Calls(node.sockets.stream, place, this, timing)
    this.calls = new CallEvents(calls, this, trace)
    this.snippets = new Snippets(
      () => this.underTest,
      (text) => trace.add(this.now(), `print: ${text}`),
    )
  }

  /** @throws Failure — something happens otherwise. */
  async run(events: readonly Event[]): Promise<void> {
    let previous = 0
    for (const event of events) {
      const from = event.time.from === 'zero' ? 0 : this.now()
      const start = from + event.time.earliest
      await this.event(event, from, this.tolerance(start - previous))
      previous = start
    }
    await this.calls.finish()
    this.outbox.look(events.at(-1)?.line ?? 0)
  }

  /** The longer of a fixed time and a part of the time since the event before. */
  private tolerance(since: number): number {
    return Math.max(this.config.toleranceUs, (this.config.tolerancePercent / 100) * since)
  }

  private async event({ action, line, time }: Event, from: number, tolerance: number): Promise<void> {
    const start = from + time.earliest
    if (action.kind === 'packet' && action.direction === 'out') {
      const window = time.from === 'any' ? undefined : { earliest: start, latest: from + time.latest, tolerance }
      await this.departures.expect({ line, body: action.body, ip: action.ip, window })
      return
    }
    await this.reach(start, tolerance, line)
    if (action.kind === 'packet') {
      this.trace.add(this.now(), `< ${formatBody(action.body)}`)
      this.arrivals.arrive(action, line)
    } else if (action.kind === 'call') {
      const at = action.returns === undefined ? undefined : from + action.returns
      const due = at === undefined ? undefined : { at, tolerance: this.tolerance(at - start) }
      await this.calls.run({ call: action, line, due })
    } else if (action.kind === 'code') this.snippets.run(action.text, line)
    else runShell(action.text, line, this.sysctls)
    await this.advance(this.now(), () => false)
  }

  /** Lets time pass until an event that the script makes happen. */
  private async reach(start: number, tolerance: number, line: number): Promise<void> {
    const late = this.now() - start
    if (late > tolerance) {
      throw new Failure(line, `time runs backward: this event is ${seconds(late)} before the one above it was done`)
    }
    await this.advance(start, () => false)
  }

  // ── Time

  now(): number {
    return this.node.now()
  }

  async advance(until: number, condition: () => boolean): Promise<boolean> {
    return await this.node.advance(until, () => {
      this.calls.retry()
      return condition()
    })
  }

  // ── CallListener

  created(socket: LinuxSocket): void {
    this.underTest = socket
  }

  listening(port: number): void {
    this.conversations.listen(port)
  }

  connecting(socket: LinuxSocket, { local, remote }: Connection): void {
    this.underTest = socket
    this.conversations.connect(local.port, remote.port)
  }

  accepted(socket: LinuxSocket, { remote }: Connection): void {
    this.underTest = socket
    this.conversations.accept(remote.port)
  }
}
